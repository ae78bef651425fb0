import { defineErrors } from '@holdfast/base';

/** What can go wrong on a computer that takes an archive over, or hands one over, besides what the server says. */
export const takeoverErrors = defineErrors('agent_takeover', {
  enrolled_elsewhere: ['conflict', 'This computer is enrolled with another server'],
  not_enrolled: ['conflict', 'This computer is not enrolled yet'],
  own_archive: ['conflict', 'This computer has begun an archive of its own'],
  does_not_open: ['invalid', 'What was given opens no keyring of the archive that counts'],
  other_archive: ['invalid', 'What was given belongs to another archive'],
  keyrings_missing: ['corrupt', 'Keyrings of the archive are missing at the server'],
  document_invalid: ['invalid', 'The file is not what one computer gives the other to hand an archive over'],
  for_another: ['invalid', 'The file is for another computer, or another takeover than the one that was begun'],
  not_from_writer: ['invalid', 'The hand-over is not from the computer that writes to the archive'],
  not_the_writer: ['conflict', 'This computer is not the one that writes to the archive now'],
  not_confirmed: ['conflict', 'Nothing was taken over: it was not confirmed'],
  unsettled: ['conflict', 'A takeover that was begun here may be done at the server, and is not finished here'],
  state_damaged: ['corrupt', 'The file of the takeover that was begun cannot be read'],
});
