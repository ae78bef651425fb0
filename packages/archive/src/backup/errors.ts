import { defineErrors } from '@holdfast/base';

/** Failures of a backup that a caller can act on. */
export const backupErrors = defineErrors('backup', {
  stopped: ['unavailable', 'The backup was stopped before its end; it goes on where it was'],
  worker_died: ['unavailable', 'A worker of the backup engine ended unexpectedly; the backup starts again'],
  volume_gone: ['unavailable', 'The volume is no longer mounted where it was; nothing about it changes'],
  file_replaced: ['unavailable', 'Something else took the name of the file each time it was read'],
  folder_replaced: ['unavailable', 'Something else took the name of the folder while it was looked at'],
  no_destination: ['unavailable', 'No destination can be reached'],
  nowhere_to_go: ['unavailable', 'No destination of the backup set can be reached; what it selects waits'],
  record_lost: [
    'unavailable',
    'A record could not be taken from the destination that has it; the files are read again',
  ],
});
