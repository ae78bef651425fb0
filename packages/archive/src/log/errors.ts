import { defineErrors } from '@holdfast/base';

/** What can go wrong in the folder where an archive's records lie. */
export const logErrors = defineErrors('log', {
  record_invalid: ['invalid', 'The bytes sent are not whole, valid records'],
  ordinal_known: ['conflict', 'An ordinal that was sealed before came again with other bytes'],
  keyring_known: ['conflict', 'A keyring with this number is there already'],
  poisoned: ['unavailable', 'Writing to the archive folder failed; it is closed until it is opened and recovered anew'],
  moved: ['unavailable', 'The archive folder is no longer where it was opened, or lost what was written to it'],
  closed: ['unavailable', 'The archive folder is closed'],
  disk_full: ['exhausted', 'The disk of the archive folder is full'],
  read_only: ['conflict', 'The archive folder was opened for reading only'],
  not_a_file: ['conflict', 'A link or a special file stands where the archive folder has a file or folder of its own'],
  other_archive: ['conflict', 'The folder belongs to another archive'],
  segment_damaged: ['corrupt', 'A segment is damaged beyond what was asked of it'],
  locked: ['conflict', 'Somebody else is writing to this archive folder'],
  fenced: ['conflict', 'A newer session has taken over'],
  fragment_order: ['conflict', 'The fragment is not the next one'],
  fragment_differs: ['conflict', 'A fragment number came again with other bytes'],
  commit_missing: ['corrupt', 'The commit from which the archive is to go on is not there'],
  record_refused: ['conflict', 'A record does not fit what the archive holds'],
});
