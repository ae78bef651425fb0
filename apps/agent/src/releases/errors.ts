import { defineErrors } from '@holdfast/base';

/** Failures of asking for the keys of archives, and of taking them. */
export const releaseClientErrors = defineErrors('key_release', {
  exists: ['conflict', 'There is a file of that name already'],
  not_written: ['unavailable', 'The file could not be written'],
  key_file_invalid: ['invalid', 'The file is not a person key of Holdfast, or others can read it'],
  card_invalid: ['invalid', 'The card is not one, or was made for another key'],
  no_card: ['not_found', 'The key was not registered with a server yet, as far as is known here'],
  not_asked_here: [
    'not_found',
    'The request was not made with this key on this computer: what opens the release is not here',
  ],
  not_logged: ['corrupt', 'The leaf of the release is not in the key log that the server shows'],
  other_log: ['corrupt', 'The head of the key log is not signed by the key that was pinned'],
  other_document: ['corrupt', 'What the server shows of a document is not what its text says'],
  is_a_ring: ['conflict', 'The release gives the keys of a whole archive, for a computer that replaces another'],
  not_a_ring: ['conflict', 'The release reads epochs, and replaces no computer'],
  ring_file_invalid: ['invalid', 'The file is not one of a ring that was released'],
  for_another: ['invalid', 'What was released is for another computer, or another takeover than the one begun here'],
});
