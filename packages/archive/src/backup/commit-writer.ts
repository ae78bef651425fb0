/**
 * Commits: rows become a sealed, signed record, which becomes durable, and only then does the index know.
 */
import { hash } from 'node:crypto';
import { encodeCommitOpen, encodeCommitSealed } from '../format/commit.ts';
import type { Reference } from '../format/extent.ts';
import { commitKey, fileKey } from '../format/map-key.ts';
import { type Ordinal, ordinalOf } from '../format/ordinal.ts';
import { encodeCommitRow } from '../format/row.ts';
import type { SealKeys } from '../format/seal.node.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { type CommitIntent, noIntent } from '../index/commit-table.ts';
import type { LocalIndex } from '../index/local-index.ts';
import type { LoadRecord } from '../tree/tree-reader.ts';
import { compareBytes } from './bytes.ts';
import { type CommitClock, type CommitInstant, timeOfCommit } from './commit-clock.ts';
import { encodeSpans, readSpans, type Settlement, settleTimes, spansKey, withCommit } from './commit-times.ts';
import { backupErrors } from './errors.ts';
import { sealSigned } from './record-sealer.ts';
import type { SharedControl } from './shared-control.ts';
import type { Uploader } from './uploader.ts';

/** Who writes: keys and number of the writer, and the newest keyring. */
export type CommitIdentity = {
  readonly archiveId: Uint8Array;
  readonly epoch: number;
  readonly keys: Omit<SealKeys, 'sign'>;
  readonly writerNumber: number;
  readonly signingSeed: Uint8Array;
  readonly keyring: { readonly number: number; readonly sha256: Uint8Array };
};

/** A row by where it belongs: the commit gives its key the number. */
export type PendingRow = { readonly directory: number; readonly name: Uint8Array; readonly row: Uint8Array };

/** What a commit is to say, and what becomes true with it. */
export type CommitContent = Omit<CommitIntent, 'puts' | 'root'> & {
  readonly rows: readonly PendingRow[];
  /** Entries of other key spaces. */
  readonly entries?: readonly MapEntry[];
};

const maxPutsBytes = 3_500_000;

/** Writes commits one after the other. */
export class CommitWriter {
  readonly #index: LocalIndex;
  readonly #identity: CommitIdentity;
  readonly #control: SharedControl;
  readonly #uploader: Uploader;
  readonly #clock: CommitClock;
  readonly #load: LoadRecord;
  readonly #keyLogHead: (() => string | undefined) | undefined;

  constructor(
    index: LocalIndex,
    identity: CommitIdentity,
    ports: {
      readonly control: SharedControl;
      readonly uploader: Uploader;
      readonly clock: CommitClock;
      /** Reads a tree node that the index does not keep. */
      readonly load: LoadRecord;
      /** The last verified head of the key log. */
      readonly keyLogHead?: () => string | undefined;
    },
  ) {
    this.#index = index;
    this.#identity = identity;
    this.#control = ports.control;
    this.#uploader = ports.uploader;
    this.#clock = ports.clock;
    this.#load = ports.load;
    this.#keyLogHead = ports.keyLogHead;
  }

  /** Writes what gathered; more than a commit can hold becomes several, and what they make true comes with the last. */
  async write(content: CommitContent): Promise<void> {
    const { rows, entries = [], ...truths } = content;
    if (rows.length + entries.length + truths.detached.length === 0) {
      // Nothing to say to a reader; but what is durable may be referred to from now on.
      await this.#uploader.drained();
      this.#index.learn(truths);
      return;
    }
    const parts = splitRows(rows);
    for (const rows of parts.slice(0, -1)) await this.#writeRows(rows, [], noIntent);
    await this.#writeRows(parts.at(-1) ?? [], entries, truths);
  }

  /** Writes a checkpoint: a commit that names a root whose records were handed over before. */
  async writeCheckpoint(root: Reference, droppedNodes: readonly Ordinal[]): Promise<void> {
    const number = this.#index.head().number + 1;
    await this.#writeOne({ checkpoint: number, root, puts: [] }, { ...noIntent, root: { ...root, droppedNodes } });
  }

  /**
   * Writes commits that put nothing, so that rows of one later commit can stand under their numbers: several versions of a
   * name, one behind the other, that show all at once or not at all. Returns the first number.
   */
  async reserveNumbers(count: number): Promise<number> {
    const first = this.#index.head().number + 1;
    for (let made = 0; made < count; made++) await this.#writeRows([], [], noIntent);
    return first;
  }

  /** Corrects the times of earlier commits where a receipt has come since that says what they should have been. */
  async correctTimes(): Promise<void> {
    for (;;) {
      const settlement = await this.#settle(this.#clock.read());
      if (!settlement) return;
      if (settlement.corrections.length > 0) await this.#writeRows([], [], noIntent);
      else this.#index.set(spansKey, encodeSpans(settlement.left));
    }
  }

  /** Signs one part of a live set and sends it to every destination; the commit that it names was acknowledged before. */
  async sendLive(open: Uint8Array): Promise<void> {
    const { keys, writerNumber, signingSeed } = this.#identity;
    const sequence = this.#control.takeSequence();
    if (sequence === undefined) throw backupErrors.stopped();
    const record = sealSigned(
      { kind: 'live', epoch: 0, ordinal: ordinalOf(writerNumber, sequence), open },
      keys,
      signingSeed,
    );
    this.#control.chargeAtOnce(record.length);
    await this.#uploader.send(record).finally(() => this.#control.release(record.length));
  }

  async #settle(instant: CommitInstant): Promise<Settlement | undefined> {
    if (!instant.isConfirmed || readSpans(this.#index).length === 0) return undefined;
    return settleTimes(this.#index, instant, { keys: this.#identity.keys, load: this.#load });
  }

  async #writeRows(rows: readonly PendingRow[], entries: readonly MapEntry[], truths: Omit<CommitIntent, 'puts'>) {
    const { number, checkpoint } = this.#index.head();
    const puts = rows.map((row) => toEntry(row, number + 1)).concat(entries);
    puts.sort((a, b) => compareBytes(a.key, b.key));
    await this.#writeOne({ checkpoint, puts }, { ...truths, puts });
  }

  async #writeOne(said: Said, intent: CommitIntent): Promise<void> {
    await this.#uploader.readyForCommit();
    const number = this.#index.head().number + 1;
    const instant = this.#clock.read();
    // A checkpoint has no puts, and its tree must have the corrections before it: it corrects nothing itself.
    const settlement = said.root ? undefined : await this.#settle(instant);
    const puts = withCorrections(said.puts, settlement);
    const record = this.#seal(number, { ...said, puts }, { instant, settlement });
    const sha256 = hash('sha256', record, 'buffer');
    // The row that names this commit goes into the tree with a later checkpoint.
    const time = timeOfCommit(instant.atMs);
    const named = { key: commitKey(number), value: encodeCommitRow({ time, sha256 }) };
    const spans = encodeSpans(withCommit(settlement?.left ?? readSpans(this.#index), number, instant));
    const kept = { ...intent, puts: [...puts, named], facts: [[spansKey, spans] as const] };
    this.#index.keepCommit({ number, sha256, record }, kept);
    this.#control.chargeAtOnce(record.length);
    // The index keeps the bytes; what is sent may be handed on for good.
    await this.#uploader.send(record).finally(() => this.#control.release(record.length));
    this.#index.acknowledge(number, kept);
  }

  #seal(number: number, { checkpoint, root, puts }: Said, times: Times): Uint8Array<ArrayBuffer> {
    const { epoch, keys, writerNumber, signingSeed, keyring } = this.#identity;
    const time = timeOfCommit(times.instant.atMs);
    const corrections = times.settlement?.corrections ?? [];
    const previous = this.#index.head().sha256;
    const open = encodeCommitOpen({ number, previous, checkpoint, readFeatures: [], writeFeatures: [] });
    const keyLogHead = this.#keyLogHead?.();
    const optional = { ...(root && { root }), ...(keyLogHead !== undefined && { keyLogHead }) };
    const raw = encodeCommitSealed({ time, corrections, keyring, ...optional, puts });
    const sequence = this.#control.takeSequence();
    if (sequence === undefined) throw backupErrors.stopped();
    const content = { kind: 'commit', epoch, ordinal: ordinalOf(writerNumber, sequence), open, raw } as const;
    return sealSigned(content, keys, signingSeed);
  }
}

type Said = { readonly checkpoint: number; readonly root?: Reference; readonly puts: readonly MapEntry[] };

type Times = { readonly instant: CommitInstant; readonly settlement: Settlement | undefined };

/** A corrected time is also put where the tree has the commit's: the next checkpoint is to hold it. */
function withCorrections(puts: readonly MapEntry[], settlement: Settlement | undefined): readonly MapEntry[] {
  if (!settlement || settlement.corrections.length === 0) return puts;
  const corrected = settlement.corrections.map(({ commit, time, sha256 }) => ({
    key: commitKey(commit),
    value: encodeCommitRow({ time, sha256 }),
  }));
  return [...puts, ...corrected].sort((a, b) => compareBytes(a.key, b.key));
}

function toEntry({ directory, name, row }: PendingRow, commit: number): MapEntry {
  return { key: fileKey(directory, name, commit), value: row };
}

function splitRows(rows: readonly PendingRow[]): PendingRow[][] {
  const parts: PendingRow[][] = [];
  let part: PendingRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    const rowBytes = row.row.length + row.name.length + 32;
    if (bytes + rowBytes > maxPutsBytes) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += rowBytes;
  }
  parts.push(part);
  return parts;
}
