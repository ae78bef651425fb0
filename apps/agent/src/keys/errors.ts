import { defineErrors } from '@holdfast/base';

/** Failures around the keys of this computer's archive. `details` never hold a key or a word of a code. */
export const keyErrors = defineErrors('keys', {
  exposed: ['forbidden', 'Others can read or write the file with the keys of the archive'],
  other_owner: ['forbidden', 'The file with the keys of the archive belongs to another user'],
  damaged: ['corrupt', 'The file with the keys of the archive cannot be read'],
  older_draft: [
    'corrupt',
    'The keys are of an archive of an older draft of the format, which this version does not read',
  ],
  missing: ['not_found', 'This computer has no archive yet'],
  no_code_shown: ['conflict', 'No recovery code was shown that could be confirmed'],
  code_differs: ['invalid', 'What was typed is not the recovery code that was shown'],
  no_way_in: ['conflict', 'After this nothing but this computer could open the archive'],
  escrow_demanded: ['conflict', 'The organisation of this computer has to be able to open the archive'],
  unsettled: ['unavailable', 'What this computer knew of its archive was lost, and no destination gave it back yet'],
  no_such_epoch: ['invalid', 'The archive has no key epoch of that number'],
  changed_meanwhile: ['conflict', 'This computer became another writer of its archive meanwhile'],
  reseal_runs: ['conflict', 'The past is being sealed again already'],
  export_exists: ['conflict', 'There is a file of that name already'],
});
