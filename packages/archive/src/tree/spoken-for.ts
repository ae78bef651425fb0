/** Which keyrings commits speak for: only who holds the keys can seal a commit that names one. */
import { parseCommitOpen, parseCommitSealed } from '../format/commit.ts';
import { equalBytes, joinBytes } from '../format/cursor.ts';
import { type Writer, writerOfCommit } from '../format/keyring.ts';
import { isRecordSigned, openRecord, type RecordOpeners } from '../format/open.ts';
import { type Ordinal, writerOf } from '../format/ordinal.ts';
import { RecordKind, splitRecord } from '../format/record.ts';
import { distinctKeys, type EpochKey, openersOf } from './epoch-keys.ts';
import type { KeyringNode, KeyringTree } from './keyring-tree.ts';
import type { ReadTools, RecordSource } from './record-source.ts';

/** Where commits are, and what reads them. */
export type CommitEvidence = {
  readonly archiveId: Uint8Array;
  readonly source: RecordSource;
  readonly tools: ReadTools;
};

/**
 * The keyrings that a commit names, sealed in the keyring's own epoch with the key that its line has for that: by the ring
 * of the nearest keyring that opened, or by a key file.
 *
 * A key that only another line has speaks for nothing: who made that line may have invented it.
 */
export async function spokenForByCommits(
  { nodes }: KeyringTree,
  keyFile: readonly EpochKey[] | undefined,
  evidence: CommitEvidence,
): Promise<ReadonlySet<KeyringNode>> {
  const keyOf = ({ ring, candidate }: KeyringNode) =>
    (keyFile ?? ring)?.find(({ number }) => number === candidate.epoch)?.key;
  const spoken = new Set<KeyringNode>();
  // What speaks for the last of a line speaks for all before it.
  const awaited = new Set(nodes.filter((node) => !node.isOpened && keyOf(node) && !node.next.some(keyOf)));
  if (awaited.size === 0) return spoken;
  const byHash = new Map(nodes.map((node) => [node.candidate.sha256.toHex(), node]));
  const trial = new CommitTrial(evidence, distinctKeys(keyFile ?? nodes.flatMap(({ ring }) => ring ?? [])));
  for (const ordinal of await commitsFromNewest(evidence.source)) {
    const naming = await trial.open(ordinal);
    const node = naming && byHash.get(naming.named);
    const own = node && keyOf(node);
    if (!own || naming?.epoch !== node.candidate.epoch || !equalBytes(own, naming.key)) continue;
    spoken.add(node);
    awaited.delete(node);
    if (awaited.size === 0) break;
  }
  return spoken;
}

/** The keyring that a commit names, SHA-256 in hex, and the key that opened the commit. */
type Naming = { readonly named: string; readonly epoch: number; readonly key: Uint8Array };

/** Opens commits with one key after the other, to know which it was. */
class CommitTrial {
  readonly #evidence: CommitEvidence;
  readonly #keys: readonly EpochKey[];
  readonly #openers = new Map<EpochKey, Promise<RecordOpeners>>();

  constructor(evidence: CommitEvidence, keys: readonly EpochKey[]) {
    this.#evidence = evidence;
    this.#keys = keys;
  }

  async open(ordinal: Ordinal): Promise<Naming | undefined> {
    const bytes = await this.#evidence.source.read(ordinal);
    if (bytes === undefined) return undefined;
    for (const key of this.#keys) {
      const named = await this.#keyringNamedBy(bytes, key);
      if (named !== undefined) return { named, epoch: key.number, key: key.key };
    }
    return undefined;
  }

  async #keyringNamedBy(bytes: Uint8Array<ArrayBuffer>, key: EpochKey): Promise<string | undefined> {
    const { archiveId, tools } = this.#evidence;
    try {
      if (splitRecord(bytes).header.epoch !== key.number) return undefined;
      const openers = this.#openers.get(key) ?? openersOf(archiveId, [key], tools);
      this.#openers.set(key, openers);
      const { raw } = await openRecord(bytes, await openers, tools);
      return parseCommitSealed(raw).keyring.sha256.toHex();
    } catch {
      // Damaged, of another key, or noise: it speaks for no keyring, and is reported where commits are read.
      return undefined;
    }
  }
}

/** Whether there is a commit of this number or a greater one, signed by the writer whose it is by a list. */
export async function hasCommitFrom(
  number: number,
  writers: readonly Writer[],
  { archiveId, source, tools }: CommitEvidence,
): Promise<boolean> {
  for (const ordinal of await commitsFromNewest(source)) {
    const bytes = await source.read(ordinal);
    if (bytes === undefined) continue;
    try {
      const { number: own } = parseCommitOpen(splitRecord(bytes).open);
      const writer = writerOfCommit(writers, own);
      if (own < number || writer?.number !== writerOf(ordinal)) continue;
      const key = joinBytes(writer.publicKey);
      if (await isRecordSigned(bytes, archiveId, async (message, mark) => tools.verify(key, message, mark)))
        return true;
    } catch {
      // No commit: it is reported where commits are read.
    }
  }
  return false;
}

/** From the greatest ordinal down, where the newest keyring is most likely named; each once. */
async function commitsFromNewest(source: RecordSource): Promise<readonly Ordinal[]> {
  const ordinals = new Set<Ordinal>();
  for await (const ordinal of source.ordinalsOf(RecordKind.commit)) ordinals.add(ordinal);
  return [...ordinals].sort((a, b) => b - a);
}
