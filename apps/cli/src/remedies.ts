import { remedyOf } from '@holdfast/agent/control/remedies';
import type { CodedError } from '@holdfast/base';

type Remedy = (details: Readonly<Record<string, unknown>>) => string;

const refusals: Readonly<Record<string, string>> = {
  'keystore.young_key':
    'wait until a day after it was registered, or have an older key vouch: holdfast key person vouch',
  'keystore.young_approver': 'have somebody approve who has been allowed to for more than a day',
  'keystore.unregistered_approver':
    'have the operator allow it: holdfast cloud person add --approver; it counts a day later',
  'keystore.self_approval': 'have somebody else approve it',
  'keystore.ended_key': 'use a key that has not ended',
  'keystore.other_keyring': 'ask anew: the archive has another keyring now, or is not one of this tenant',
  'keystore.rules_unreachable': 'ask for fewer approvals than there are persons who may approve, or register more',
};

function refusalRemedy(reason: string): string {
  return refusals[reason] ?? 'the reason above says why; the key log has it, too';
}

const kmsSecret = 'put it alone into a file that nobody else may read, and name that with HOLDFAST_KMS_SECRET_FILE';

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
  'time.future': () => 'leave --at out for the newest state',
  'time.before_first': () => 'holdfast versions FILE shows what there is',
  'browse.not_found': () => 'holdfast ls --deleted and --at show what was there before',
  'browse.never_there': () => 'holdfast find --deleted NAME finds what is there, and what was',
  'destinations.not_a_folder': () => 'name a folder that is there, and that the agent may write to',
  'home.not_made': ({ folder }) => `make ${String(folder)} a folder of yours, or choose another one with HOLDFAST_HOME`,
  'home.foreign': ({ folder }) =>
    `run it as the user that owns ${String(folder)}, or choose another folder with HOLDFAST_HOME`,
  'home.not_found': () => 'run holdfast up first, or name the folder with HOLDFAST_HOME',
  'output.not_written': () => 'make room where it is written, or write it elsewhere',
  'embedded_postgres.cannot_run': () => 'set HOLDFAST_DATABASE_URL to a PostgreSQL server (15 or newer) of your own',
  'embedded_postgres.leftover_survives': ({ pids }) => `end these processes, then start again: ${String(pids)}`,
  'keystore.away': () =>
    'try again in a moment: it is started again by itself; holdfast cloud doctor says whether it answers, the log of the server why it does not',
  'keystore.busy': () => 'try again in a moment',
  'keystore.fault': () => 'look at the log of the server, and please report it',
  'keystore.already_running': () => 'end the other one: the log of the server says when it is tried again',
  'keystore.traced': ({ tracer }) =>
    `end the debugger or tracer with the process number ${String(tracer)}; it is tried again by itself`,
  'keystore.memory_open': ({ syscall }) => `allow the process the call ${String(syscall)}; it is tried again by itself`,
  'keystore.other_log': () => 'put back a database whose schemas public and keystore are of one time',
  'enrollment.keys_not_made': () => 'holdfast cloud doctor says whether the keystore of the server answers',
  'cloud.never_started': () => 'start it first: holdfast up, or holdfast cloud start; HOLDFAST_HOME names its folder',
  'cloud.stop_incomplete': ({ parts }) =>
    `start it again: what is left is found and ended then; if it comes again, please report it: ${String(parts)}`,
  'kms.bad_key_file': ({ filePath }) => `put back the ${String(filePath)} that belongs to this folder`,
  'kms_secret.not_read': () => kmsSecret,
  'kms_secret.malformed': () => kmsSecret,
  'kms_secret.foreign': ({ file }) => `nobody but this user or root may own it: ${String(file)}`,
  'kms_secret.exposed': ({ file }) => `nobody else may read it: chmod 600 ${String(file)}`,
  'kms_passphrase.missing': () => kmsSecret,
  'kms_passphrase.wrong': () =>
    'name the file that holds the right one with HOLDFAST_KMS_SECRET_FILE; where it is right, put the key file back from a backup',
  'kms_passphrase.too_short': () => 'choose a longer one: several words are easy to remember',
  'kms_token.unsupported': () => 'choose another place for the keys with HOLDFAST_KMS: see the guide',
  'kms_token.no_module': ({ modulePath }) => `see that ${String(modulePath)} is the PKCS #11 module of the token`,
  'kms_token.not_found': () => 'see that the token is there, and that HOLDFAST_KMS names it by its label',
  'kms_token.no_pin': () => kmsSecret,
  'kms_token.pin_refused': ({ locked }) =>
    locked === true
      ? 'the token is locked: unlock it with its own program'
      : 'put the right PIN into the file that HOLDFAST_KMS_SECRET_FILE names, before it is tried too often',
  'kms_token.failed': () => 'see that the token is there and works, then try again',
  'kms_token.weak_key': ({ keyId }) =>
    `find out who put the key ${String(keyId)} into the token, and remove it with the program of the token`,
  'kms_token.too_large': () => 'please report it',
  'kms_remote.away': () =>
    'see that the key service that HOLDFAST_KMS names runs and is reached from here, then try again',
  'kms_remote.throttled': () => 'try again later, or have its limit raised',
  'kms_remote.denied': () =>
    'see that the credentials of this role are right, and that the policies of the guide are in force in the key service',
  'kms_remote.no_credentials': ({ field }) =>
    field === 'HOLDFAST_KMS_SECRET_FILE'
      ? 'put the access token alone into a file that nobody else may read, and name that with HOLDFAST_KMS_SECRET_FILE'
      : 'give this role credentials of AWS: a profile that HOLDFAST_KMS names, or another place where AWS looks for them',
  'kms_remote.key_unusable': () => 'enable the key in the key service, or cancel its deletion there, then try again',
  'kms_remote.weak_key': ({ keyId }) =>
    `find out who changed the key ${String(keyId)} in the key service: it must be aes256-gcm96 and not exportable`,
  'kms_remote.unbound': () => 'use Vault 1.13 or newer, or OpenBao',
  'kms_remote.refused': () => 'see the log of the key service, then try again; where it persists, please report it',
  'kms_change.under_way': () => 'wait until it has ended, then try again',
  'kms_change.last_key': () => 'holdfast cloud keys rotate adds another one first',
  'kms_change.file_gone': () => 'put the master key file of this folder back',
  'kms_change.incomplete': () =>
    'read what stands above about each; put the keys that they name back, then run it again',
  'kms_change.no_passphrase': () => 'change the PIN with the program of the token',
  'kms.not_opened': () => 'put back the master-keys.json that belongs to this database',
  'kms.unknown_key': () => 'put back the master-keys.json that belongs to this database',
  'tls.unreadable': () => 'set HOLDFAST_TLS_CERT_FILE and HOLDFAST_TLS_KEY_FILE to PEM files that this user may read',
  'tls.mismatch': () => 'set HOLDFAST_TLS_CERT_FILE and HOLDFAST_TLS_KEY_FILE to a certificate and its own key',
  'migrate.newer_database': () => 'start the version of Holdfast that made it, or a newer one',
  'migrate.changed_file': () => 'put the files of this version of Holdfast back as they were',
  'migrate.bad_numbering': () => 'put the files of this version of Holdfast back as they were',
  'audit.no_log_key': () => 'restore the database from a backup of it',
  'audit.inconsistent': () => 'keep this database as it is, and compare it with a backup: somebody may have altered it',
  'tenants.not_found': () => 'holdfast cloud tenant create ADDRESS makes one',
  'tenants.slug_taken': () => 'choose another address',
  'tenants.slug_invalid': () => 'choose an address such as acme',
  'agent_enroll.token_unreadable': () =>
    'name the file that holdfast cloud enrollment-token wrote; - is standard input',
  'agent_enroll.no_token': () => newToken,
  'agent_enroll.means': () =>
    'choose one: --recovery-code, --hand-over FILE (made on the old computer), --approval FILE, or --request FILE to ask for one of these',
  'agent_enroll.file_unreadable': () => 'name a file that you may read',
  'agent_enroll.request_exists': () => 'choose another name',
  'agent_enroll.request_not_written': () => 'name a file in a folder that you may write to',
  'hand_over.exists': () => 'choose another name',
  'hand_over.not_written': () => 'name a file in a folder that you may write to',
  'hand_over.file_unreadable': () => 'name the file that the new computer wrote: holdfast agent enroll --request FILE',
  'hand_over.not_confirmed': () => 'compare the two fingerprints, then run it again; --yes says that you have',
  'agent_takeover.enrolled_elsewhere': () =>
    'use another folder: --state FOLDER, or leave this computer with the server that it has',
  'agent_takeover.not_enrolled': () =>
    'name the server and a token: holdfast agent enroll URL --token-file FILE --replace DEVICE',
  'agent_takeover.own_archive': () =>
    'a new computer takes over before its agent has run; else: stop it, remove its state folder, and enrol it anew',
  'agent_takeover.does_not_open': () =>
    'see that it is the newest code, password or key of that archive; where the old computer still runs: holdfast agent hand-over there',
  'agent_takeover.other_archive': () => 'use what belongs to the archive of the computer that is replaced',
  'agent_takeover.keyrings_missing': () =>
    'ask who runs the server to look at its disk; holdfast recover reads what there is',
  'agent_takeover.document_invalid': () => 'have it made again, and carry it over as it is',
  'agent_takeover.for_another': () =>
    'make the request again on the new computer, with the identifier that holdfast status shows on the old one, and answer that one',
  'agent_takeover.not_from_writer': () =>
    'run holdfast agent hand-over again on the computer that backs up the archive now, and carry its file over yourself',
  'agent_takeover.not_the_writer': () => 'do it on the computer that backs up this archive: holdfast status',
  'agent_takeover.not_confirmed': () => 'run it again, and answer yes; without a terminal: --yes',
  'agent_takeover.unsettled': ({ device, file }) =>
    `finish it by the same code or file as before: holdfast agent enroll --replace ${String(device)}; or remove ${String(file)}, which gives that archive up if it is this computer's by now`,
  'agent_takeover.state_damaged': ({ file }) => `remove ${String(file)}, and begin again with a new proof`,
  'new_computer.request_unreadable': () =>
    'name the file that it wrote: holdfast agent enroll --replace DEVICE --request FILE',
  'new_computer.not_confirmed': () =>
    'compare the fingerprints, run it again, and answer yes; without a terminal: --yes',
  'takeover_approval.exists': () => 'choose another name',
  'takeover_approval.not_written': () => 'name a file in a folder that you may write to',
  'takeover.proof_invalid': () => 'have it made again, and carry it over as it is',
  'takeover.proof_refused': () =>
    'see that the computer is named as the archive has it now, that the code is its newest one and that the old computer was not deauthorised or blocked',
  'takeover.proof_expired': () => 'have it made again: with a recovery code, by running this again',
  'takeover.too_many': () => 'wait a day; the proof that was shown last is taken as often as it is shown',
  'takeover.proof_used': () => 'have a new one made',
  'takeover.has_archive': () => 'use a computer that has not begun an archive, or another state folder: --state FOLDER',
  'takeover.not_begun': () => 'run it again',
  'takeover.keyring_changed': () => 'run it again: the old computer has changed its keys meanwhile',
  'takeover_proof.malformed': () => 'have it made again, and carry it over as it is',
  'takeover_proof.forged': () => 'have it made again, and carry it over as it is',
  'enrollment_token.file_exists': () => 'choose another name',
  'enrollment_token.file_not_written': () => 'name a file in a folder that you may write to; - is standard output',
  'key_log_head.exists': () => 'choose another name',
  'key_log_head.not_written': () => 'name a file in a folder that you may write to; - is standard output',
  'head_file.malformed': () => 'name a file that holdfast key log --write-head wrote, as it was written',
  'head_file.unsigned': () => 'have it written again where it comes from: holdfast key log --write-head FILE',
  'head_file.unproven': () => 'have it written again where it comes from: holdfast key log --write-head FILE',
  'key_witness.malformed': () => 'give the key as who runs the witness hands it on: NAME+ID+KEY',
  'key_witness.known': ({ name }) =>
    `where its key was changed: holdfast key witness remove ${String(name)}, then add the new one`,
  'key_witness.not_found': () => 'holdfast key witness list shows the names',
  'key_witness.too_many': () => 'remove one: holdfast key witness remove NAME',
  'key_export.exists': () => 'choose another name',
  'key_export.not_written': () => 'name a file in a folder that you may write to; - is standard output',
  'custom_key_file.exists': () => 'choose another name',
  'custom_key_file.not_written': () => 'name a file in a folder that you may write to',
  'custom_key_file.not_read': () => 'name a file that you may read; - is standard input',
  'trust_store.no_tool': () => 'install the program named above, or import the CA file by hand',
  'trust_store.not_here': () => 'import the CA file by hand',
  'trust_store.failed': () => 'read the words of the program above, or import the CA file by hand',
  'up_agent.protects_other': () => 'leave --path out, or change the set: holdfast set change',
  'up_agent.not_started': () => "read the agent's own words above, then start again",
  'doctor.failed': () => 'do what stands at the lines above',
  'key_release.exists': () => 'choose another name',
  'key_release.not_written': () => 'name a file in a folder that you may write to',
  'key_release.key_file_invalid': () =>
    'name the file that holdfast key person new made; only its owner may read it: chmod 600',
  'key_release.card_invalid': () => 'name the card that the operator made for this key: holdfast cloud person add',
  'key_release.no_card': () =>
    'have the operator register the key (holdfast cloud person add), then: holdfast key person accept',
  'key_release.not_asked_here': () => 'take it where it was asked for, with the same key; or ask anew',
  'key_release.not_logged': () => 'believe nothing of it, and ask who runs the server why the log does not have it',
  'key_release.other_log': () => 'believe nothing of it, and ask who runs the server: the log is signed by another key',
  'key_release.other_document': () => 'approve nothing: ask who runs the server why it shows one document for another',
  'key_release.is_a_ring': () => 'it is taken where the computer is replaced: holdfast agent enroll --replace',
  'key_release.not_a_ring': () => 'ask for the whole ring: holdfast key release request --ring REQUEST',
  'key_release.ring_file_invalid': () => 'take it again, and carry it over as it is: holdfast key release take',
  'key_release.for_another': () =>
    'use what was asked for with the request of this computer, for the same DEVICE: holdfast agent enroll --replace DEVICE --request FILE',
  'person_card.exists': () => 'choose another name',
  'person_card.not_written': () => 'name a file in a folder that you may write to; - is standard output',
  'persons.not_found': () => 'holdfast cloud person list shows the keys there are',
  'persons.key_taken': () => 'have the person make a key of its own: holdfast key person new',
  'releases.unknown_key': () =>
    'have the operator register the key: holdfast cloud person add; one that has ended stays so',
  'releases.stale_call': () => 'set the clock of this computer right and try again',
  'releases.malformed': () => 'use the version of Holdfast that the server has',
  'releases.other_call': () => 'use the card of the server that is asked: holdfast key person accept',
  'releases.not_found': () => 'holdfast key release list shows what there is',
  'releases.archive_not_found': () =>
    'name the computer, its id, or that of its archive; it has to have backed up once',
  'releases.archive_ambiguous': () => 'name the id of the computer or of the archive',
  'releases.no_escrow': () => 'ask its user: only what the archive has besides escrow opens it',
  'releases.not_requester': () => 'take it with the key that asked for it, or ask with this one',
  'releases.not_person': () => 'use the key of a person who may approve, or who asked',
  'releases.refused': ({ reason }) => refusalRemedy(String(reason)),
  'releases.settled': () => 'ask anew: holdfast key release request',
  'releases.waiting': () => 'holdfast key release show says what it waits for; take it then',
  'releases.too_many': () => 'wait until tomorrow: every request is a leaf that all computers read',
  'releases.keystore_away': () => 'try again in a moment; holdfast cloud doctor says whether the keystore answers',
  'recover.no_key_file': () => 'name the file with --key; without it the recovery code is asked for',
  'recover.no_archive': () => 'name the folder of an archive, or one above it',
  'recover.incomplete': () => 'the lines above say what is missing and why',
  'restore.incomplete': () =>
    'the lines above say what is missing and why; holdfast verify says what each destination holds',
  'service.unsupported': () => 'run holdfast agent run in place of the service',
  'enrollment.token_unknown': () => newToken,
  'enrollment.token_used': () => newToken,
  'enrollment.token_expired': () => newToken,
  'enrollment.token_revoked': () => newToken,
  'cloud_link.token_invalid': () => newToken,
  'cloud_link.log_key_mismatch': () => newToken,
  'cloud_link.escrow_keys_mismatch': () => newToken,
  'escrow_keys.malformed': () => newToken,
  'cloud_link.ca_mismatch': () =>
    `see that the address is that of your server; where its CA was made anew: ${newToken}`,
  'cloud_link.other_address': ({ token }) =>
    `holdfast agent enroll ${String(token)}, or ask for a token of that server`,
  'cloud_link.ca_unreachable': () => 'see that the server runs and that this computer reaches it, then enrol again',
  'cloud_link.already_enrolled': () => 'holdfast status shows how it stands',
  'cloud_link.not_enrolled': () => 'enrol it: holdfast agent enroll URL --token-file FILE',
  'cloud_link.enrolled_without_escrow': () => 'enrol this computer anew: holdfast agent enroll URL --token-file FILE',
  'cloud_link.state_damaged': () => 'enrol this computer anew: holdfast agent enroll URL --token-file FILE',
  'cloud_link.state_exposed': () => 'nobody but the user the agent runs as may own or read it: chown and chmod 600',
  'sdk.unreachable': () => 'see that the server runs and that this computer reaches it',
  'proxy.address_invalid': () => proxy,
  'proxy.unreachable': () => proxy,
  'proxy.refused': () => proxy,
  'proxy.wants_credentials': () => proxy,
  'keys.other_owner': ({ file }) => `run it as the user that owns ${String(file)}`,
  'keys.damaged': ({ file }) =>
    `put a copy of ${String(file)} back; without one, restore with a recovery code or key file`,
  'keys.older_draft': () =>
    'restore what it holds with the version that made it; then remove the state folder and enrol the computer anew',
  'keys.missing': () => 'wait until the first backup has begun: holdfast status',
  'keys.no_code_shown': () => 'holdfast key show-recovery shows one',
  'keys.code_differs': () => 'run it again, and type the words that it shows',
  'keys.changed_meanwhile': () => 'begin again: what was sealed again stays so',
  'keys.no_such_epoch': () => 'see which there are: holdfast key list',
  'keys.reseal_runs': () => 'wait until the command that began it ends',
  'keys.no_way_in': () => 'keep a recovery code first: holdfast key show-recovery',
  'keys.escrow_demanded': () =>
    'let the organisation in beside it with --with-escrow, or ask its administrator to allow an own key in its place',
  'keys.unsettled': () => 'connect a destination, then try again: holdfast status',
  'keys.export_exists': () => 'choose another name',
  'recovery_code.wrong_length': () => 'type all the words, with a space between them',
  'recovery_code.unknown_word': () => 'look at that word again: one letter may be wrong',
  'recovery_code.wrong_checksum': () => 'look at the words and their order again',
  'key_file.malformed': () => 'name the file that holdfast key export wrote',
  'key_file.damaged': () => 'use another copy of it, or the recovery code',
  'slot.corrupt': () => 'use another copy of the archive, or another key file or recovery code',
  'slot.bad_parameters': () => 'use another copy of the archive, or another key file or recovery code',
  'archive_password.too_short': () => 'choose a longer one: several words are easy to remember',
  'archive_password.too_long': () => 'type a shorter one, and not an empty one',
  'archive_password.not_text': () => 'type it again; where it comes from a file, save that as UTF-8',
  'archive_password.no_memory': ({ memoryKibibytes }) =>
    `free ${Math.ceil(Number(memoryKibibytes) / 1024)} MiB of memory, or use a computer that has it`,
  'archive_password.too_many_slots': () => 'use another copy of the archive, or a recovery code or key file',
  'custom_key.malformed': () => 'name the file that holds it; a new one is made with: openssl rand -hex 32',
  'custom_key.not_random': () => 'make one with: openssl rand -hex 32',
  'control.busy': () => 'try again in a moment',
  'control.lost': () => 'see why it ended in its log, then try again; what was under way goes on by itself',
  'control.fault': () => 'look at its log, and please report it',
  'browse.empty': () => 'wait until the first backup is done: holdfast status',
  'sets.not_found': () => 'holdfast set list shows those there are',
  'sets.destination_unknown': () => 'holdfast destination list shows those there are',
  'sets.name_taken': () => 'choose another name',
  'sets.none': () => 'holdfast set add NAME FOLDER...',
  'sets.too_many': () => 'put their folders into fewer sets: holdfast set change',
  'sets.path_protects_holdfast': () => 'name folders that are not of Holdfast',
  'sets.path_relative': () => 'write the whole path, from the first slash on',
  'destinations.not_found': () => 'holdfast destination list shows those there are',
  'branches.not_found': () => 'holdfast branch list shows those there are',
  'branches.decided': () => 'holdfast branch list shows what was decided',
  'branches.went_on': ({ branch }) => `holdfast branch show ${String(branch)}, then decide again`,
  'branches.undecided': () => 'holdfast branch list shows what was decided',
  'branches.let_go': () => 'what is still there is read with holdfast recover from a copy of the folder',
  'branches.unreadable': () => 'holdfast recover gives what opens of the folder; then give the branch up',
  'destinations.known': () => 'holdfast destination list shows how it stands',
  'destinations.too_many': () => 'remove one first: holdfast destination remove NAME',
  'destinations.is_state': () => 'name a folder on another disk',
  'destinations.covers_set': () => 'name a folder that no set protects, best on another disk',
  'restore.stopped': () => 'restore again: what is restored already is kept, and not fetched anew',
  'restore.worker_died': () => 'restore again: what is restored already is kept, and not fetched anew',
  'restore.other_plan': () => 'restore to another folder, or finish the other restore first',
  'protection.stopping': () => 'it goes on by itself when the agent runs again',
};

const newToken = 'ask who runs the server for a new token: holdfast cloud enrollment-token';
const proxy = 'mend HTTPS_PROXY in the environment of the agent, or of this command where it enrols';

/** What to do about an error: a sentence without a capital letter; undefined where its message says it all. */
export function remedyFor(error: CodedError): string | undefined {
  const own = error.details['remedy'];
  return typeof own === 'string' ? own : (remedies[error.code]?.(error.details) ?? remedyOf(error));
}
