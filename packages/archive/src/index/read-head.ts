import { hash } from 'node:crypto';
import { archiveErrors } from '../errors.ts';
import { parseCommitOpen } from '../format/commit.ts';
import { type Writer, writerOfCommit } from '../format/keyring.ts';
import { type Ordinal, writerOf } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { isRecordSignedBy } from '../format/seal.node.ts';
import type { KeptCommit } from './commit-table.ts';

/** The records of a destination, as far as finding its head goes. */
export type RecordShelf = {
  /** What is there of a kind, in any order. */
  list(kind: number): AsyncIterable<{ readonly ordinal: Ordinal }>;
  /** The records with these ordinals that are there, in any order. */
  read(ordinals: readonly Ordinal[]): AsyncIterable<Uint8Array>;
};

const readAtOnce = 32;

/**
 * The newest commit of a destination that its rightful writer signed; undefined where there is none.
 *
 * `writers` are those of the newest keyring. Commits of others, and those that a writer made after the next one had
 * come in, do not count.
 */
export async function newestCommit(
  shelf: RecordShelf,
  archive: { readonly archiveId: Uint8Array; readonly writers: readonly Writer[] },
): Promise<KeptCommit | undefined> {
  for await (const commit of commitsDownwards(shelf)) {
    const writer = writerOfCommit(archive.writers, commit.number);
    if (writer?.number !== writerOf(commit.ordinal)) continue;
    if (isRecordSignedBy(commit.record, archive.archiveId, writer.publicKey)) return commit;
  }
  return undefined;
}

/**
 * The commits from the checkpoint that a head names to the head itself, by rising number and linked by their hashes;
 * from the first commit on where there is no checkpoint.
 *
 * @throws archive.record_missing where one of them is not there
 */
export async function commitChain(shelf: RecordShelf, head: KeptCommit): Promise<readonly KeptCommit[]> {
  const chain = [head];
  const first = Math.max(1, parseCommitOpen(splitRecord(head.record).open).checkpoint);
  const waiting = new Map<string, KeptCommit>();
  const found = commitsDownwards(shelf);
  for (let lowest = head; lowest.number > first;) {
    const previous = Buffer.from(parseCommitOpen(splitRecord(lowest.record).open).previous).toString('hex');
    let next = waiting.get(previous);
    while (!next) {
      const { value, done } = await found.next();
      if (done) throw archiveErrors.record_missing({ what: `commit ${lowest.number - 1}` });
      const key = Buffer.from(value.sha256).toString('hex');
      if (key === previous) next = value;
      else waiting.set(key, value);
    }
    waiting.delete(previous);
    chain.push((lowest = next));
  }
  return chain.toReversed();
}

/** All commits that are there, from the greatest ordinal down: newer ones first, but for branches. */
export async function* commitsDownwards(
  shelf: RecordShelf,
): AsyncGenerator<KeptCommit & { readonly ordinal: Ordinal }> {
  const ordinals: Ordinal[] = [];
  for await (const { ordinal } of shelf.list(RecordKind.commit)) ordinals.push(ordinal);
  ordinals.sort((a, b) => b - a);
  for (let at = 0; at < ordinals.length; at += readAtOnce) {
    const batch = [];
    for await (const record of shelf.read(ordinals.slice(at, at + readAtOnce))) {
      const { header, open } = splitRecord(record);
      const { number } = parseCommitOpen(open);
      const { ordinal } = header;
      batch.push({ number, sha256: hash('sha256', record, 'buffer'), record: record.slice(), ordinal });
    }
    yield* batch.sort((a, b) => b.ordinal - a.ordinal);
  }
}
