import type { CodedError } from '@holdfast/base';

type Remedy = (details: Readonly<Record<string, unknown>>) => string;

/** What a person at the command line can do about an error, by its code. */
const remedies: Readonly<Record<string, Remedy>> = {
  'listen.port_taken': ({ port }) =>
    `stop the program that listens on port ${String(port)}, or choose another port: holdfast up --port N (cloud start: HOLDFAST_LISTEN)`,
  'listen.not_allowed': () => 'choose a port above 1023: holdfast up --port N (cloud start: HOLDFAST_LISTEN)',
  'listen.no_such_address': () => 'set HOLDFAST_LISTEN to an address of this machine, such as 127.0.0.1:8443',
  'embedded_postgres.in_use': () =>
    'stop the Holdfast that uses this folder, or choose another folder with HOLDFAST_HOME',
  'embedded_postgres.other_owner': () =>
    'run as the user who owns the folder, or choose another one with HOLDFAST_HOME',
  'embedded_postgres.start_failed': ({ folder }) =>
    `read the database's own words above; is there room left on the disk of ${String(folder)}?`,
  'embedded_postgres.initdb_failed': ({ folder }) =>
    `read the database's own words above; is there room left on the disk of ${String(folder)}?`,
  'embedded_postgres.unsupported_platform': () =>
    'set HOLDFAST_DATABASE_URL to a PostgreSQL server (15 or newer) of your own',
  'embedded_postgres.password_refused': () =>
    'put back the master-keys.json that belongs to this folder; without it the database cannot be opened',
  'cloud.already_running': () => 'use the one that runs, or choose another folder with HOLDFAST_HOME',
  'tls.ca_not_valid': () => 'set the clock of this machine right and start again',
  'database_url.ssl_mode': () => 'end HOLDFAST_DATABASE_URL with ?sslmode=verify-full, or leave the mode out',
  'database_url.ssl_root_cert': ({ file }) => `put the certificate of the database's CA (PEM) at ${String(file)}`,
  'migrate.privileged_login': ({ login, role }) =>
    login === role
      ? `as a superuser of the database: alter role ${String(login)} nosuperuser nobypassrls`
      : `as a superuser of the database: revoke ${String(role)} from ${String(login)}, or from what makes it a member`,
  'state_folder.foreign': ({ folder }) =>
    `run it as the user that owns ${String(folder)}, or choose another folder with HOLDFAST_HOME`,
  'kms.foreign_key_file': ({ filePath }) => `run it as the user that owns ${String(filePath)}`,
  'tls.ca_key_lost': ({ keyFile }) =>
    `put ${String(keyFile)} back; for a new CA, which every agent must be told of, remove ca.pem beside it as well`,
  'kms.exposed_key_file': ({ filePath }) => `nobody else may read it: chmod 600 ${String(filePath)}`,
  'config.invalid': () => 'set the variables named above to usable values, or unset them',
  'control.not_running': () =>
    'start it: holdfast up, or holdfast agent install-service; HOLDFAST_HOME, or HOLDFAST_SOCKET, chooses which agent is meant',
  'control.cannot_listen': () => 'choose another place for the socket: --socket FILE, or HOLDFAST_SOCKET',
  'control.no_permission': () => 'this agent belongs to another user',
  'control.not_allowed': () => 'run it as root, or as the user the agent runs as',
  'state.in_use': () => 'use the one that runs: holdfast status',
  'keys.exposed': ({ file }) => `nobody else may read it: chmod 600 ${String(file)}`,
  'time.before_first': () => 'holdfast versions FILE shows what there is',
  'browse.not_found': () => 'holdfast ls --deleted and --at show what was there before',
  'browse.never_there': () => 'holdfast find --deleted NAME finds what is there, and what was',
  'destinations.not_a_folder': () => 'name a folder that is there, and that the agent may write to',
  'home.not_made': ({ folder }) => `make ${String(folder)} a folder of yours, or choose another one with HOLDFAST_HOME`,
  'home.foreign': ({ folder }) =>
    `run it as the user that owns ${String(folder)}, or choose another folder with HOLDFAST_HOME`,
  'home.not_found': () => 'run holdfast up first, or name the folder with HOLDFAST_HOME',
};

/** What to do about an error: a sentence without a capital letter; undefined where its message says it all. */
export function remedyFor(error: CodedError): string | undefined {
  const own = error.details['remedy'];
  return remedies[error.code]?.(error.details) ?? (typeof own === 'string' ? own : undefined);
}
