import type { KeyLogBook, OwnLeaf } from './key-log-book.ts';
import { leafOf } from './read-leaves.ts';

/** Kinds of leaves that whoever uses a computer has to see: somebody else could read its archive, or soon more easily. */
const noticed = ['release', 'release_refused', 'release_rules'] as const;

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
  if (leaf?.kind !== 'release_rules') return undefined;
  const { number, rules } = JSON.parse(leaf.change) as Record<string, unknown>;
  const message =
    'The rules by which keys of backups are released were changed; what is weaker counts a day later at the soonest';
  return { logIndex, at: leaf.at, kind: leaf.kind, message, details: { number, rules } };
}

const messages = {
  own_restore: 'This computer was given keys that read its own backups',
  admin_restore: 'Somebody else was given keys that read the backups of this computer',
  replacement: 'Another computer was given the keys of the archive of this one, to replace it',
} as const;
