/** This device's archive: its keys, and what is known of it here. Where it lies is the destinations' affair. */
import path from 'node:path';
import {
  archiveErrors,
  type ArchiveState,
  commitKey,
  deriveKeyRing,
  isRebuilding,
  loaderOf,
  type LoadRecord,
  LocalIndex,
  type Ordinal,
  ordinalOf,
  parseCommitRow,
  parseRecordHeader,
  readState,
  type ReadableDestination,
  RecordKind,
  sequenceOf,
  writerOf,
} from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import { makeArchive, type KeyPorts } from '../keys/archive-keyring.ts';
import type { EscrowFacts } from '../keys/escrow-policy.ts';
import { KeyStore, type StoredKeys } from '../keys/key-store.ts';
import { TakeoverStore } from '../takeover/pending-takeover.ts';

type Reading = Pick<ReadableDestination, 'read'>;

function isMissing(error: unknown): boolean {
  return error instanceof CodedError && error.code === archiveErrors.record_missing.code;
}

/** The open archive of a device. One process has it open. */
export class DeviceArchive {
  readonly index: LocalIndex;
  readonly #store: KeyStore;
  /** Keys of a new writer whose keyring was sent, and may or may not have arrived. */
  readonly #announcedStore: KeyStore;
  /** What is asked of the archive's keyrings, where the device is enrolled. */
  readonly escrow: EscrowFacts | undefined;
  #stored: StoredKeys;
  /** Who reads records that the index does not keep. */
  #readers: () => readonly Reading[] = () => [];

  private constructor(
    store: KeyStore,
    stored: StoredKeys,
    { index, escrow }: { readonly index: LocalIndex; readonly escrow: EscrowFacts | undefined },
  ) {
    this.#store = store;
    this.#announcedStore = new KeyStore(`${store.path}.announced`);
    this.#stored = stored;
    this.index = index;
    this.escrow = escrow;
  }

  /**
   * Opens the archive of a state folder; where there is no key file, a new archive is made, with the escrow that is asked for.
   *
   * @throws keys.exposed, keys.other_owner, keys.damaged, agent_takeover.unsettled where another's archive may be its own by now
   */
  static open(stateDir: string, ports: KeyPorts, escrow?: EscrowFacts): DeviceArchive {
    const store = new KeyStore(path.join(stateDir, 'keys.json'));
    const before = store.load();
    if (!before) new TakeoverStore(stateDir).expectNothingUnsettled();
    const { index } = LocalIndex.open(path.join(stateDir, 'index.db'));
    if (before) return new DeviceArchive(store, before, { index, escrow });
    const isAsked = escrow?.areKeysLogged === true && escrow.setting !== undefined && escrow.setting !== 'off';
    const stored = makeArchive(ports, undefined, isAsked ? escrow.keys : undefined);
    // Whatever an index of that name knows is of another archive.
    index.clear();
    store.save(stored);
    const archive = new DeviceArchive(store, stored, { index, escrow });
    // The header and the first keyring have the first two ordinals.
    archive.claimIndex(2);
    return archive;
  }

  get stored(): StoredKeys {
    return this.#stored;
  }

  get archiveId(): Uint8Array {
    return this.#stored.keys.archiveId;
  }

  get openKeys() {
    const { archiveId, ring } = this.#stored.keys;
    return { archiveId, ring: deriveKeyRing(archiveId, ring.epochs) };
  }

  /** Replaces the keys, on stable storage. */
  save(stored: StoredKeys): void {
    this.#store.save(stored);
    this.#stored = stored;
    this.#announcedStore.remove();
  }

  /** Keeps the keys of a new writer, on stable storage, until `save` settles whether it came in. */
  announce(stored: StoredKeys): void {
    this.#announcedStore.save(stored);
  }

  /** What was announced last and is not settled. @throws as `open` does */
  announced(): StoredKeys | undefined {
    return this.#announcedStore.load();
  }

  /** The index is this writer's from now on, and this is the next sequence number it may use. */
  claimIndex(nextSequence: number): void {
    this.index.transact(() => {
      this.index.set('ordinals', nextSequence);
      this.index.set('archive', this.archiveId);
      this.index.set('writer', this.#stored.keys.writerNumber);
    });
  }

  /** Takes down that another life of this device made this record: nothing more is written under its writer number. */
  noteOverrunBy(ordinal: Ordinal): void {
    const { writerNumber } = this.#stored.keys;
    if (writerOf(ordinal) !== writerNumber) return;
    this.index.transact(() => {
      this.index.set('overrun', writerNumber);
      this.index.set('ordinals', Math.max(sequenceOf(ordinal) + 1, this.index.getNumber('ordinals') ?? 0));
    });
  }

  /** Takes down that no record below this ordinal is needed any more: no destination that is new gets one. */
  noteClosed(below: Ordinal): void {
    this.index.set('closed.below', below);
  }

  /** Whether a record of that kind below what was closed is there for who has it only; a header or keyring never is. */
  isClosed(ordinal: Ordinal, kind: number): boolean {
    const below = this.index.getNumber('closed.below');
    if (below === undefined) return false;
    if (kind !== RecordKind.commit) return ordinal < below;
    // What begins with a checkpoint takes no commit before it.
    const checkpoint = this.index.keptCommit(this.index.head().checkpoint);
    return checkpoint !== undefined && ordinal < parseRecordHeader(checkpoint.record).ordinal;
  }

  /** Takes down that another life of this device brought in a writer after it: nothing more is written under its number. */
  noteSuccessor(): void {
    this.index.set('overrun', this.#stored.keys.writerNumber);
  }

  /** Whether this device has to go on under another writer number: another life of it uses its own, or has ended it. */
  get isOverrun(): boolean {
    return this.index.getNumber('overrun') === this.#stored.keys.writerNumber;
  }

  /** The ordinal of a sequence number of this device's writer. */
  ordinalOf(sequence: number): Ordinal {
    return ordinalOf(this.#stored.keys.writerNumber, sequence);
  }

  /** Whether the index is lost, half rebuilt, or another writer's: then it says nothing about what ordinals were used. */
  get isIndexLost(): boolean {
    const archiveId = this.index.getBytes('archive');
    const isOurs = archiveId !== undefined && Buffer.compare(archiveId, this.archiveId) === 0;
    return !isOurs || isRebuilding(this.index) || this.index.getNumber('writer') !== this.#stored.keys.writerNumber;
  }

  /** Sets who reads records that the index does not keep, the nearest first. */
  readFrom(readers: () => readonly Reading[]): void {
    this.#readers = readers;
  }

  /** Loads the raw bytes of a record from whatever destination has it whole. @throws archive.record_missing */
  get load(): LoadRecord {
    return this.#loadFrom(this.#readers);
  }

  #loadFrom(readers: () => readonly Reading[]): LoadRecord {
    const { openKeys } = this;
    return async (reference) => {
      const failures: unknown[] = [];
      for (const reader of readers()) {
        try {
          return await loaderOf((ordinals) => reader.read(ordinals), openKeys)(reference);
        } catch (error) {
          failures.push(error);
        }
      }
      throw failures.find((error) => !isMissing(error)) ?? archiveErrors.record_missing({ ordinal: reference.ordinal });
    };
  }

  /** The newest acknowledged state; what the index does not keep of it is read as it is needed, from these or from the usual ones. */
  state(readers: () => readonly Reading[] = this.#readers): ArchiveState {
    return readState(this.index, this.openKeys, this.#loadFrom(readers));
  }

  /** SHA-256 (hex) of a commit of ours, acknowledged or not; undefined where there is none of that number, or it is forgotten. */
  async commitHash(number: number): Promise<string | undefined> {
    const unacknowledged = this.index.unacknowledgedCommit();
    const known = this.index.keptCommit(number) ?? (unacknowledged?.number === number ? unacknowledged : undefined);
    if (known) return Buffer.from(known.sha256).toString('hex');
    if (number > this.index.head().number) return undefined;
    const row = await this.state().get(commitKey(number));
    return row && Buffer.from(parseCommitRow(row).sha256).toString('hex');
  }

  /** Forgets the keys and all that is known of the archive, for good. The archive itself stays where it is. */
  destroy(): void {
    this.index.clear();
    this.#store.remove();
    this.#announcedStore.remove();
  }

  close(): void {
    this.index.close();
  }
}
