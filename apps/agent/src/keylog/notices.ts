import type { KeyLogLeaf } from '@holdfast/trust';
import type { KeyLogBook, OwnLeaf } from './key-log-book.ts';
import { leafOf } from './read-leaves.ts';

/** Kinds of leaves that whoever uses a computer has to see: somebody else could read its archive, or soon more easily. */
const noticed = [
  'release',
  'release_refused',
  'release_rules',
  'person_key_registered',
  'person_key_ended',
  'key_vouched',
  'archive_takeover',
] as const;

/** A leaf that was not seen by a person yet, as it is shown. */
export type Notice = {
  readonly logIndex: number;
  readonly at: string;
  readonly kind: (typeof noticed)[number];
  readonly message: string;
  /** Of a release: who asked, for what, and in whose words. */
  readonly details: Readonly<Record<string, unknown>>;
};

/** What of the log nobody has seen yet, in its order. */
export function unseenNotices(book: KeyLogBook): readonly Notice[] {
  const from = book.seenUpTo();
  return book.ownLeaves().flatMap((leaf) => (leaf.logIndex < from ? [] : (noticeOf(leaf) ?? [])));
}

/** What a leaf has to tell, where it has. */
export function noticeOf({ logIndex, text }: OwnLeaf): Notice | undefined {
  const leaf = leafOf(text);
  if (leaf?.kind === 'release') {
    const { purpose, requester, archiveId, approvals } = leaf;
    const { reason, caseId, scope, epochs } = JSON.parse(leaf.request.text) as Record<string, unknown>;
    const details = { archiveId, purpose, scope, epochs, reason, caseId, requester, approvals: approvals.length };
    return { logIndex, at: leaf.at, kind: leaf.kind, message: messages[purpose], details };
  }
  if (leaf?.kind === 'release_refused') {
    const { archiveId, code } = leaf;
    const message = 'Somebody asked for keys that read the backups of this computer, and was refused';
    return { logIndex, at: leaf.at, kind: leaf.kind, message, details: { archiveId, code } };
  }
  if (leaf && isAboutKeys(leaf)) return ofKeys(leaf, logIndex);
  if (leaf?.kind === 'archive_takeover') {
    const { step, archiveId, deviceUid, newDeviceUid, proof } = leaf;
    const details = { step, archiveId, deviceUid, newDeviceUid, proof };
    return { logIndex, at: leaf.at, kind: leaf.kind, message: takeoverMessages[step], details };
  }
  if (leaf?.kind !== 'release_rules') return undefined;
  const { number, rules } = JSON.parse(leaf.change) as Record<string, unknown>;
  const message =
    'The rules by which keys of backups are released were changed; what is weaker counts a day later at the soonest';
  return { logIndex, at: leaf.at, kind: leaf.kind, message, details: { number, rules } };
}

type AboutKeys = Extract<KeyLogLeaf, { kind: keyof typeof keyMessages }>;

function isAboutKeys(leaf: KeyLogLeaf): leaf is AboutKeys {
  return Object.hasOwn(keyMessages, leaf.kind);
}

/** Whose key may ask for the backups of computers from then on, or approve it. */
function ofKeys(leaf: AboutKeys, logIndex: number): Notice {
  const { kind, at, publicKey } = leaf;
  const about =
    leaf.kind === 'key_vouched' ? { holder: leaf.holder, by: leaf.by, byKey: leaf.byKey } : { userUid: leaf.userUid };
  const mayApprove = leaf.kind === 'person_key_registered' ? { mayApprove: leaf.mayApprove } : {};
  return { logIndex, at, kind, message: keyMessages[kind], details: { ...about, publicKey, ...mayApprove } };
}

const keyMessages = {
  person_key_registered: 'A person has a key, to ask for the keys of backups or to approve that others are given them',
  person_key_ended: 'The key of a person was ended, which asked for the keys of backups or approved it',
  key_vouched: 'A key need not wait to ask for the keys of backups, because an older one vouched for it',
} as const;

const takeoverMessages = {
  begun: 'A computer has proved that it may take over the archive of another one, and reads it',
  done: 'The archive of a computer goes on with another one, and the one before writes to it no more',
} as const;

const messages = {
  own_restore: 'This computer was given keys that read its own backups',
  admin_restore: 'Somebody else was given keys that read the backups of this computer',
  replacement: 'Another computer was given the keys of the archive of this one, to replace it',
} as const;
