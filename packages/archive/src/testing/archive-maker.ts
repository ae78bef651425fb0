import { createHash, hash } from 'node:crypto';

import { assert } from '@holdfast/base';

import { createSigningKey, type SigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { encodeCommitOpen, encodeCommitSealed, type TimeCorrection } from '../format/commit.ts';
import { compareBytes } from '../format/cursor.ts';
import { type Reference, zeroHash } from '../format/extent.ts';
import type { UnknownField } from '../format/fields.ts';
import { draftRevision, encodeHeader, suiteOne } from '../format/header.ts';
import { encodeKeyring, encodeRing, introductionMessage, type WriterOrigin } from '../format/keyring.ts';
import { deriveEpochKeys } from '../format/keys.node.ts';
import type { EpochKeys } from '../format/keys.ts';
import { encodeLive, type LiveRange } from '../format/live.ts';
import { commitKey } from '../format/map-key.ts';
import { type Ordinal, ordinalOf } from '../format/ordinal.ts';
import type { RecordKindName } from '../format/record.ts';
import { encodeCommitRow } from '../format/row.ts';
import { type SealContent, sealRecord } from '../format/seal.node.ts';
import type { Time } from '../format/time.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { updateTree } from '../tree/update-tree.ts';
import { type MadeSlot, recoverySlot, strangeSlot, wrapMadeSlot } from './made-slots.ts';
import { publicHalf } from './seal-to-public-key.ts';

/** A record that was made, in the order of making. */
export type MadeRecord = { readonly kind: RecordKindName; readonly ordinal: Ordinal; readonly bytes: Uint8Array };

/** A commit that was made. */
export type MadeCommit = {
  readonly number: number;
  readonly ordinal: Ordinal;
  readonly sha256: Uint8Array;
  readonly time: Time;
};

/** What a commit is made from. */
export type CommitPlan = {
  readonly time: Time;
  readonly puts?: readonly MapEntry[];
  /** Fold everything into a new tree. */
  readonly isCheckpoint?: boolean;
  readonly corrections?: readonly TimeCorrection[];
  readonly keyLogHead?: string;
  /** Number and predecessor, where they are not simply the next: for branches. */
  readonly after?: MadeCommit;
  readonly writer?: number;
  readonly readFeatures?: readonly string[];
  readonly unknown?: readonly UnknownField[];
};

type MadeWriter = {
  readonly number: number;
  readonly key: SigningKey;
  readonly firstCommit: number;
  readonly origin: WriterOrigin;
  readonly introduction?: Uint8Array;
};

type MadeEpoch = { readonly number: number; readonly key: Uint8Array; readonly madeAt: Time };

/**
 * Makes an archive record by record, with every choice in the caller's hands and all randomness from a seed: for golden
 * archives and for tests of readers. What it makes follows the format document.
 */
export class ArchiveMaker {
  readonly archiveId: Uint8Array;
  readonly entropy: Uint8Array;
  readonly records: MadeRecord[] = [];
  readonly commits: MadeCommit[] = [];
  readonly writers: MadeWriter[] = [];
  readonly epochs: MadeEpoch[] = [];
  readonly ring = new Map<number, EpochKeys>();
  /** What every keyring from now on is wrapped for. */
  slots: readonly MadeSlot[];
  readonly #seed: string;
  readonly #sequences = new Map<number, number>();
  readonly #raw = new Map<Ordinal, Uint8Array>();
  #drawn = 0;
  #root: Reference | undefined;
  #checkpoint = 0;
  #sinceCheckpoint: MapEntry[] = [];
  readonly #corrected = new Map<number, Time>();
  #keyring: { readonly number: number; readonly sha256: Uint8Array } = { number: 0, sha256: zeroHash };
  #keyringBefore = this.#keyring;
  #lives = 0;

  /** Writes the header. `entropy` is what the recovery code stands for. */
  constructor(seed: string, entropy: Uint8Array, unknown: readonly UnknownField[] = [], draft: number = draftRevision) {
    this.#seed = seed;
    this.entropy = entropy;
    const key = createSigningKey(this.random(32));
    this.writers.push({ number: 0, key, firstCommit: 1, origin: 'first' });
    const header = { formatVersion: 1, draft, salt: this.random(32), suite: suiteOne, unknown };
    const open = encodeHeader({ ...header, writerKey: key.publicKey });
    const bytes = this.#seal({ kind: 'header', epoch: 0, ordinal: this.#nextOrdinal(0), open }, new Uint8Array(16));
    this.archiveId = hash('sha256', bytes, 'buffer').subarray(0, 16);
    this.slots = [recoverySlot(this, entropy)];
  }

  /** Bytes that follow from the seed and from how many were drawn before. */
  readonly random = (bytes: number): Uint8Array<ArrayBuffer> => {
    const drawn = new Uint8Array(Math.ceil(bytes / 32) * 32);
    for (let at = 0; at < bytes; at += 32) {
      drawn.set(hash('sha256', `${this.#seed} ${this.#drawn++}`, 'buffer'), at);
    }
    return drawn.subarray(0, bytes);
  };

  /** The writer that seals what names no other. */
  get writer(): number {
    return newestOf(this.writers).number;
  }

  /** The epoch that seals what names no other. */
  get epochNumber(): number {
    return newestOf(this.epochs).number;
  }

  get keyringNumber(): number {
    return this.#keyring.number;
  }

  /** Begins a key epoch; the next keyring brings it in. */
  addEpoch(madeAt: Time): void {
    const epoch = { number: this.epochs.length, key: this.random(32), madeAt };
    this.epochs.push(epoch);
    this.ring.set(epoch.number, deriveEpochKeys(this.archiveId, epoch.number, epoch.key));
  }

  /** Lets another writer in, from a commit on; the next keyring brings it in and is its first record. */
  addWriter(origin: WriterOrigin, firstCommit: number, isIntroduced: boolean): void {
    const before = newestOf(this.writers);
    const number = before.number + 1;
    const key = createSigningKey(this.random(32));
    const message = introductionMessage(this.archiveId, { number, publicKey: key.publicKey, firstCommit });
    const introduction = isIntroduced ? { introduction: signMessage(before.key, message) } : {};
    this.writers.push({ number, key, firstCommit, origin, ...introduction });
  }

  /** Writes the next keyring: all writers, epochs and slots there are, before them so many of a kind that no version knows. */
  keyring(madeAt: Time, unknown: readonly UnknownField[] = [], strangers = 1): MadeRecord {
    const number = this.#keyring.number + 1;
    const ringKey = this.random(32);
    const { archiveId, random } = this;
    const slots = this.slots.map((slot) => wrapMadeSlot(slot, { archiveId, number, ringKey }, { madeAt, random }));
    const writers = this.writers.map(({ key, ...writer }) => ({ ...writer, publicKey: key.publicKey }));
    const open = encodeKeyring({
      number,
      previous: this.#keyring.sha256,
      slots: [...Array.from({ length: strangers }, () => strangeSlot(madeAt, random)), ...slots],
      writers,
      madeAt,
      unknown,
    });
    const epochs = this.epochs.map((epoch) => ({ ...epoch, suite: suiteOne }));
    const slotKeys = this.slots.map(({ slotId, slotKey }) => ({ slotId, publicKey: publicHalf(slotKey) }));
    const raw = encodeRing({ epochs, slotKeys });
    const content = { kind: 'keyring', epoch: newestOf(epochs).number, open, raw } as const;
    const bytes = this.#seal({ ...content, ordinal: this.#nextOrdinal(this.writer) }, this.archiveId, ringKey);
    this.#keyringBefore = this.#keyring;
    this.#keyring = { number, sha256: hash('sha256', bytes, 'buffer') };
    return newestOf(this.records);
  }

  /** Goes on from the keyring before: the newest one was taken by nobody. */
  takeBackKeyring(): void {
    this.#keyring = this.#keyringBefore;
  }

  /** Seals raw bytes as a block, bundle, list or tree record. */
  readonly store = (
    kind: 'block' | 'bundle' | 'list' | 'tree',
    raw: Uint8Array,
    options: Partial<Pick<SealContent, 'compression' | 'epoch'>> & { readonly writer?: number } = {},
  ): Reference => {
    const { writer = this.writer, ...rest } = options;
    const ordinal = this.#nextOrdinal(writer);
    this.#seal({ kind, epoch: this.epochNumber, ordinal, raw, ...rest }, this.archiveId);
    this.#raw.set(ordinal, raw.slice());
    return { ordinal, sha256: hash('sha256', raw, 'buffer') };
  };

  /** The raw bytes of a record that `store` made. */
  rawOf(ordinal: Ordinal): Uint8Array {
    const raw = this.#raw.get(ordinal);
    assert(raw !== undefined, 'the record was stored');
    return raw;
  }

  /** Writes the next commit; it names its predecessor's row in space 2 by itself. */
  async commit(plan: CommitPlan): Promise<MadeCommit> {
    const before = plan.after ?? this.commits.at(-1);
    const number = before === undefined ? 1 : before.number + 1;
    const previous = before === undefined ? zeroHash : before.sha256;
    const puts = sortPuts([...(plan.puts ?? []), ...(before === undefined ? [] : [this.#rowOf(before)])]);
    const root = plan.isCheckpoint === true ? await this.#fold(puts, plan.corrections) : undefined;
    if (root !== undefined) this.#checkpoint = number;
    const sha256 = hash('sha256', this.#sealCommit(plan, { number, previous, root, puts }), 'buffer');
    const made = { number, ordinal: newestOf(this.records).ordinal, sha256, time: plan.time };
    // What another writer commits beside the line of commits is no part of it.
    if (plan.writer !== undefined) return made;
    this.commits.push(made);
    if (root === undefined) this.#sinceCheckpoint.push(...puts);
    this.#correct(plan.corrections);
    return made;
  }

  #sealCommit(
    plan: CommitPlan,
    { root, puts, ...chain }: { number: number; previous: Uint8Array; root: Reference | undefined; puts: MapEntry[] },
  ): Uint8Array {
    const { time, corrections = [], keyLogHead } = plan;
    const unknown = plan.unknown ? { unknown: plan.unknown } : {};
    const writeFeatures = plan.unknown ? ['example'] : [];
    const open = encodeCommitOpen({
      ...chain,
      checkpoint: this.#checkpoint,
      readFeatures: plan.readFeatures ?? [],
      writeFeatures,
      ...unknown,
    });
    const optional = { ...(root && { root }), ...(keyLogHead && { keyLogHead }), ...unknown };
    const raw = encodeCommitSealed({ time, corrections, keyring: this.#keyring, puts, ...optional });
    const ordinal = this.#nextOrdinal(plan.writer ?? this.writer);
    return this.#seal({ kind: 'commit', epoch: this.epochNumber, ordinal, open, raw }, this.archiveId);
  }

  /** Writes a live set, a record a part. */
  live(justifiedBy: MadeCommit, parts: readonly (readonly LiveRange[])[]): void {
    const number = ++this.#lives;
    const commit = { number: justifiedBy.number, sha256: justifiedBy.sha256 };
    for (const [index, ranges] of parts.entries()) {
      const open = encodeLive({ number, part: index + 1, parts: parts.length, commit, ranges });
      this.#seal({ kind: 'live', epoch: 0, ordinal: this.#nextOrdinal(this.writer), open }, this.archiveId);
    }
  }

  /** Gives out an ordinal that is never sealed, as a crash does. */
  skipOrdinal(): void {
    this.#nextOrdinal(this.writer);
  }

  /** The text of a key file for all epochs. */
  keyFile(): string {
    const lines = this.epochs.map(({ number, key }) => `epoch ${number} ${suiteOne} ${key.toHex()}\n`).join('');
    const text = `holdfast-key-v1\narchive ${this.archiveId.toHex()}\n${lines}`;
    return `${text}check ${createHash('sha256').update(text).digest('hex').slice(0, 16)}\n`;
  }

  #correct(corrections: readonly TimeCorrection[] = []): void {
    for (const { commit, time } of corrections) this.#corrected.set(commit, time);
  }

  async #fold(puts: readonly MapEntry[], corrections: readonly TimeCorrection[] | undefined): Promise<Reference> {
    this.#correct(corrections);
    const rows = [...this.#corrected.keys()].flatMap((number) => {
      const commit = this.commits.find((made) => made.number === number);
      return commit === undefined ? [] : [this.#rowOf(commit)];
    });
    this.#root = await updateTree(this.#root, sortPuts([...this.#sinceCheckpoint, ...puts, ...rows]), {
      load: ({ ordinal }) => Promise.resolve(this.rawOf(ordinal)),
      store: (raw) => this.store('tree', raw),
    });
    this.#sinceCheckpoint = [];
    return this.#root;
  }

  #rowOf(commit: MadeCommit): MapEntry {
    const time = this.#corrected.get(commit.number) ?? commit.time;
    return { key: commitKey(commit.number), value: encodeCommitRow({ time, sha256: commit.sha256 }) };
  }

  #nextOrdinal(writer: number): Ordinal {
    const sequence = this.#sequences.get(writer) ?? 0;
    this.#sequences.set(writer, sequence + 1);
    return ordinalOf(writer, sequence);
  }

  #seal(content: SealContent, archiveId: Uint8Array, ringKey?: Uint8Array): Uint8Array {
    const writer = this.writers.find(({ number }) => number === Math.floor(content.ordinal / 2 ** 32));
    assert(writer !== undefined, 'a record is sealed by a writer there is');
    const sign = (message: Uint8Array) => signMessage(writer.key, message);
    const keys = { archiveId, ring: this.ring, sign, ...(ringKey && { ringKey }) };
    const bytes = sealRecord(content, keys, this.random);
    this.records.push({ kind: content.kind, ordinal: content.ordinal, bytes });
    return bytes;
  }
}

/** The last of what was made, or the one so many before it. */
export function newestOf<T>(made: readonly T[], before = 0): T {
  const newest = made[made.length - 1 - before];
  assert(newest !== undefined, 'something was made');
  return newest;
}

/** By rising key; of equal keys the last counts. */
export function sortPuts(puts: readonly MapEntry[]): MapEntry[] {
  const newest = new Map(puts.map((put) => [put.key.toHex(), put]));
  return [...newest.values()].sort((a, b) => compareBytes(a.key, b.key));
}
