import type { CodedError } from '@holdfast/base';

const byItself = 'what it lacks is then sent by itself';
const wait = 'wait: it is tried again by itself';
const connect = `connect it; ${byItself}`;
const reach = `see that the server runs and that this computer reaches it; ${byItself}`;
const askOperator = 'ask who runs the server to look at its log; it is tried again by itself';
const proxy = `mend HTTPS_PROXY in the environment of the agent; ${byItself}`;
const otherArchive = 'give it a folder of its own: holdfast destination add FOLDER';
const replace =
  'see what is wrong with it: holdfast verify; a new one gets everything that the others have: holdfast destination add FOLDER';

const damaged =
  'see what is damaged there: holdfast verify --full; connect the other destinations: they are read instead';
const sameVersion = 'bring this computer and the server to the same version of Holdfast';
const newer = 'use a newer version of Holdfast on this computer';
const report = "the agent's log says more; please report it; it is tried again by itself";

const enrolAnew =
  'enrol this computer anew: holdfast agent enroll URL --token-file FILE, then start the agent again; what its older device has at the server stays there';

const compareHeads =
  'keep what holdfast key log --json prints, the heads that were wrong among it, and show it to who runs the server; whether other computers see the log that this one checked last: holdfast key log --write-head FILE on each, then holdfast key log --check-heads with the files';

/** What to do about an error that a destination or a backup can show, by its code. */
const remedies: Readonly<Record<string, string>> = {
  'log.disk_full': `make room on its disk; ${byItself}`,
  'files.disk_full': `make room on its disk; ${byItself}`,
  'files.quota_exceeded': `make room, or have the quota raised; ${byItself}`,
  'state.disk_full': "make room on the disk of the agent's state; it goes on by itself",
  'log.moved': connect,
  'log.read_only': `make it writable; ${byItself}`,
  'log.locked': 'wait until the other computer or program lets go of it; it is tried again by itself',
  'log.fenced': wait,
  'log.poisoned': `look at its disk; ${byItself}`,
  'log.closed': wait,
  'log.other_archive': otherArchive,
  'log.not_a_file':
    'find out who put it there and take it away, then: holdfast backup; others should not be able to write there',
  'log.segment_damaged': replace,
  'log.record_refused': replace,
  'log.ordinal_known': replace,
  'log.commit_missing': replace,
  'log.record_invalid': report,
  'log.keyring_known': replace,
  'log.fragment_order': wait,
  'log.fragment_differs': wait,
  'archive.corrupt': damaged,
  'archive.not_authentic': damaged,
  'archive.bad_signature': damaged,
  'archive.record_missing': damaged,
  'archive.no_archive': damaged,
  'archive.no_keyring': damaged,
  'archive.no_head': damaged,
  'archive.unknown_field': newer,
  'archive.unknown_format': newer,
  'archive.unknown_feature': newer,
  'archive.wrong_archive': otherArchive,
  'archive.key_missing': 'put the keys of this computer back, or enrol it anew: holdfast agent enroll',
  'archive.too_large': report,
  'storage.full': `make room on the disk of the server; ${byItself}`,
  'storage.quota_exceeded': `ask who runs the server for more room; ${byItself}`,
  'storage.keyring_lacks_escrow':
    'where the user chose a key of their own, ask the administrator to allow that, or let the organisation in: holdfast key use-standard; else wait: it is added once the key log was seen to have its keys',
  'storage.escrow_broken':
    'wait: a new escrow slot is made by itself, once a day, and commits are sent once the server has tried it; where that does not end it, see the escrow in: holdfast status, and ask who runs the server',
  'storage.busy': wait,
  'storage.too_many_keyrings': `wait a day, and find out what makes so many; ${byItself}`,
  'storage.unavailable': askOperator,
  'storage.records_unreadable': askOperator,
  'storage.session_superseded': wait,
  'storage.record_refused': replace,
  'storage.ordinal_known': replace,
  'storage.keyring_refused': replace,
  'storage.archive_exists':
    'the server has this archive of an older device: keep it in a folder (holdfast destination add FOLDER); for a new one at the server keep a key file (holdfast key export FILE), stop the agent, move its state folder away, and enrol it as a new device',
  'storage.not_found': askOperator,
  'storage.taken_over':
    'use the other computer; if nobody took it over with your leave, tell who runs the server at once, and take it back: holdfast agent enroll --replace with the recovery code; to back this one up too, remove the state folder and enrol it anew',
  'storage.header_invalid': report,
  'storage.record_invalid': report,
  'storage.fragment_order': wait,
  'storage.fragment_differs': wait,
  'devices.key_taken': 'enrol this computer anew: holdfast agent enroll',
  'devices.deauthorized': 'ask who runs the server; to come back: holdfast agent enroll',
  'auth.ended': 'ask who runs the server; to come back: holdfast agent enroll',
  'auth.invalid': askOperator,
  'auth.slow_down': wait,
  'request.invalid': sameVersion,
  'request.invalid_json': sameVersion,
  'request.invalid_text': sameVersion,
  'request.too_deep': sameVersion,
  'request.too_large': sameVersion,
  'request.unsupported_media': sameVersion,
  'request.no_route': sameVersion,
  'request.misdirected': 'ask who runs the server to set HOLDFAST_PUBLIC_URL to the address that computers use',
  'request.no_room': `make room on the disk of the server; ${byItself}`,
  'request.overloaded': wait,
  'request.interrupted': wait,
  'sdk.unreachable': reach,
  'sdk.not_a_problem': `see that its address leads to the server, and that no proxy answers for it; ${byItself}`,
  'sdk.server_bug': askOperator,
  'proxy.address_invalid': proxy,
  'proxy.unreachable': proxy,
  'proxy.refused': proxy,
  'proxy.wants_credentials': proxy,
  'certificate.wrong_time': "set this computer's clock",
  'certificate.untrusted': 'see that the address of the server is right; if its CA was changed: holdfast agent enroll',
  'cloud_link.receipt_invalid': askOperator,
  'cloud_link.reply_invalid': askOperator,
  'cloud_link.reply_cut': wait,
  'cloud_link.reply_slow': 'see that the connection to the server is not too slow; it is tried again by itself',
  'cloud_link.deauthorization_unproven':
    'ask who runs the server: if it is so, deauthorising the device again makes the proof; if not, see that no proxy answers for it',
  'cloud_link.key_log_unseen': wait,
  'cloud_link.session_ended': wait,
  'cloud_link.state_damaged': enrolAnew,
  'cloud_link.enrolled_without_escrow': enrolAnew,
  'cloud_link.state_exposed':
    'see who could read the key of this device; nobody but the user the agent runs as may own or read it: chown and chmod 600, then start the agent again',
  'key_log.head_unsigned': askOperator,
  'key_log.forked': compareHeads,
  'key_log.shrunk': compareHeads,
  'key_log.too_long': compareHeads,
  'key_log.leaf_altered': compareHeads,
  'key_log.leaf_hidden': compareHeads,
  'key_log.cosignature_false': compareHeads,
  'key_log.keystore_unsigned': compareHeads,
  'key_log.foreign_key':
    'ask who runs the server who enrolled it; if nobody knows: deauthorise this device, and enrol it anew with holdfast agent enroll',
  'key_log.foreign_escrow_keys':
    'ask who runs the server; until it is known why: keep backups in a folder, and set a key of your own with holdfast key set-password',
  'key_log.book_damaged':
    "see that the disk of the agent's state is sound; nothing is to be done about the log: it is followed from its beginning",
  'key_log.withheld': 'ask who runs the server why; the head that was shown is kept, and it is tried again by itself',
  'key_log.unchecked': 'see that this computer reaches the server; it is tried again by itself',
  'key_log.unwitnessed':
    'ask who runs the witness whether it sees the log, then who runs the server why this computer is not shown what it cosigned; what it did: holdfast key witness list',
  'key_log.unfollowed':
    'ask who runs the server whether its keystore answers: holdfast cloud doctor says so; and why it is not shown the key log',
  'key_log.daily_missing':
    'where the server was off for days, wait an hour; else ask who runs it whether this computer is shown the log of now',
  'destinations.away': connect,
  'destinations.linked':
    'put the folder back; if you moved it: holdfast destination remove NAME, then add it again by its path of now',
  'destinations.moved': `put the folder back where it was, or connect its disk; ${byItself}`,
  'destinations.holder_away': 'connect the destination that is away, or wait until its server answers, then try again',
  'destinations.interrupted': wait,
  'destinations.behind':
    'connect the destinations that are away; it is then sent by itself; where one is gone for good: holdfast destination remove NAME --gone',
  'destinations.branched': 'add another destination instead: holdfast destination add FOLDER',
  'destinations.mixed': 'add another destination instead: holdfast destination add FOLDER',
  'destinations.keyring_unproven': 'find out who wrote there; add another destination: holdfast destination add FOLDER',
  'destinations.ordinals_unproven': replace,
  'destinations.overtaken': 'enrol this computer anew: holdfast agent enroll',
  'destinations.used_elsewhere': 'end the copy, and let it enrol as a new device: holdfast agent enroll',
  'destinations.kind_unknown': newer,
  'destinations.writers_exhausted': 'enrol this computer anew: holdfast agent enroll',
  'protection.fault': report,
  'protection.no_destination': 'connect a destination; what waits is then sent by itself',
  'backup.no_destination': 'connect a destination; what waits is then sent by itself',
  'backup.nowhere_to_go': 'connect a destination of the set; what waits is then sent by itself',
  'backup.record_lost': wait,
  'backup.worker_died': wait,
  'backup.stopped': wait,
};

/** What a person can do about an error: what it says itself, or what its code says; undefined where nothing is known. */
export function remedyOf({ code, details }: CodedError): string | undefined {
  return typeof details['remedy'] === 'string' ? details['remedy'] : remedies[code];
}
