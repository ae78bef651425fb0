import { defineErrors } from '@holdfast/base';

/** What can go wrong with the PostgreSQL that Holdfast runs itself. */
export const embeddedPostgresErrors = defineErrors('embedded_postgres', {
  unsupported_platform: [
    'unavailable',
    'No PostgreSQL binaries exist for this platform; set HOLDFAST_DATABASE_URL to a PostgreSQL server (15 or newer)',
  ],
  in_use: [
    'conflict',
    'Another process is running the database in this folder; stop it, or choose another HOLDFAST_HOME',
  ],
  other_owner: [
    'forbidden',
    'The database folder belongs to another user; run as that user, or choose another HOLDFAST_HOME',
  ],
  cannot_run: ['unavailable', 'The PostgreSQL binaries do not run on this machine'],
  initdb_failed: ['unavailable', 'The database could not be created'],
  start_failed: ['unavailable', 'The database did not start'],
  leftover_survives: ['unavailable', 'A database process of an earlier run does not end'],
  password_refused: [
    'unauthenticated',
    'The database refuses the password from the master key; was the key file replaced?',
  ],
});
