import { defineErrors } from '@holdfast/base';

/** Failures of a restore that a caller can act on. Those of single files are in the report, by the same codes. */
export const restoreErrors = defineErrors('restore', {
  stopped: ['unavailable', 'The restore was stopped before its end; it goes on where it was'],
  worker_died: ['unavailable', 'A worker of the restore ended unexpectedly; the restore goes on where it was'],
  not_found: ['not_found', 'Nothing of this path is in the archive at this time'],
  invalid_path: ['invalid', 'A path to restore is absolute and has no empty, `.` or `..` names'],
  invalid_commit: ['invalid', 'The archive has no such commit'],
  other_plan: ['conflict', 'The journal belongs to a restore of something else'],
  folder_replaced: ['conflict', 'The folder is no longer the one that the restore made or found'],
  folder_in_the_way: ['conflict', 'A folder has the name of a file to be restored'],
  folder_missing: ['conflict', 'The folder it belongs to could not be made'],
  not_permitted: ['forbidden', 'The operating system does not let this user make it'],
  unusable_name: ['invalid', 'The target holds neither the name nor its escaped form'],
  temporary_lost: ['conflict', 'The temporary file went away or was replaced while it was written'],
  piece_damaged: ['corrupt', 'A piece of the content does not have the hash the archive names'],
  content_damaged: ['corrupt', 'The list of pieces does not give the content hash the archive names'],
  links_differ: ['corrupt', 'Names that were one file have different contents: they become files of their own'],
  record_missing: ['not_found', 'A record that the file needs is on no destination'],
  directory_twice: ['corrupt', 'The archive holds this folder in two places at once; it is restored in the first'],
  attributes_damaged: ['corrupt', 'The extended attributes could not be read from the archive'],
});
