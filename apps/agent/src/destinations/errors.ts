import { defineErrors } from '@holdfast/base';

/** Failures around destinations. */
export const destinationErrors = defineErrors('destinations', {
  away: ['unavailable', 'The destination is not there just now'],
  linked: ['unavailable', 'A link, or a file, stands where the folder of the destination or one above it was'],
  moved: ['unavailable', 'The folder of the destination was renamed, removed or unmounted while it was in use'],
  holder_away: ['unavailable', 'What is needed is at no destination that is there, and one that may have it is away'],
  interrupted: ['unavailable', 'The destination was closed after a failure; it is opened anew'],
  behind: ['unavailable', 'The destination lacks records that only destinations have that are away now'],
  branched: [
    'conflict',
    'The destination has commits of another life of this computer that no other destination has; nothing is added there',
  ],
  mixed: [
    'conflict',
    'The destination has records of another life of this computer under the ordinals of this one; nothing is added there',
  ],
  used_elsewhere: [
    'conflict',
    "Another computer writes with this one's keys: one of the two is a copy of the other's disk, or of Holdfast's state",
  ],
  overtaken: [
    'conflict',
    'Another life of this computer has taken the archive over, and its keys are not in this copy of the state',
  ],
  keyring_unproven: [
    'corrupt',
    'The destination has a newer keyring than this computer knows, of a writer or with a key that it does not know',
  ],
  ordinals_unproven: [
    'corrupt',
    'The destination says that it holds more records of this computer than were made, and shows none of them',
  ],
  not_found: ['not_found', 'There is no destination of that name'],
  known: ['conflict', 'This destination is there already'],
  not_a_folder: ['invalid', 'A destination on a disk is an absolute path of a folder that is there'],
  only_of_set: ['conflict', 'A backup set is bound to this destination alone'],
  too_many: ['exhausted', 'There are as many destinations as there can be'],
  only_copy: ['conflict', 'This is the only destination that holds the archive, or all of a backup set'],
  is_state: ['invalid', "A folder inside Holdfast's own state cannot be a destination"],
  covers_set: ['invalid', 'A protected folder lies inside this folder: it would not be backed up any more'],
  kind_unknown: ['invalid', 'This agent cannot use destinations of that kind'],
  writers_exhausted: ['exhausted', 'The archive has as many writers as there can be'],
});
