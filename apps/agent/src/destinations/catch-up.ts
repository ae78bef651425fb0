import { type Ordinal, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { CodedError, isRetryable } from '@holdfast/base';
import { appendRecords } from './append-records.ts';
import type { DestinationSession } from './destination-place.ts';
import { destinationErrors } from './errors.ts';
import { OrdinalTable } from './ordinal-table.ts';

const readAtOnce = 256;
const compared = 16;

/** What is to be brought to a destination, and from where. */
export type CatchUp = {
  /** Destinations that have some of it. Each may withhold what it has, or list what nobody made. */
  readonly sources: readonly DestinationSession[];
  readonly to: DestinationSession;
  /** Ordinals of the blocks and bundles that are needed there, rising. No other ones are copied. */
  readonly data: Iterable<Ordinal>;
  /** Records that hold no data, commits included, are copied, too. */
  readonly withMetadata: boolean;
  /** Live sets are copied with the metadata; else they wait until a person has decided about a branch there. */
  readonly withLiveSets: boolean;
  /** Whether a record is one that was sealed: a source that is not what it should be must not spoil the other destinations. */
  readonly isGenuine: (record: Uint8Array) => boolean;
  /** Whether a record was surely made by who has this device's keys. */
  readonly isProof: (record: Uint8Array) => boolean;
  /** Hears of needed data that no source has, before any commit is copied; what it throws ends the copying. */
  readonly onMissing: (ordinals: readonly Ordinal[]) => void;
  /**
   * Hears of lists and nodes that sources list and none gave, before any commit is copied; what it throws ends the copying.
   * Some of them may be nothing that was ever made.
   */
  readonly onWithheld: (ordinals: readonly Ordinal[]) => Promise<void>;
  /** Whether a record that holds no data is of a past that was closed: a destination without any commit does not get it. */
  readonly isClosed?: (ordinal: Ordinal, kind: number) => boolean;
  readonly signal: AbortSignal;
  readonly onCopied?: (bytes: number) => void;
};

/**
 * Brings a destination to where others are: copies the records it lacks, as they are, by ordinal.
 *
 * Commits come last and in order, so that each counts only once all that it reaches there is there. Header and keyrings
 * were sent before. Returns the number of bytes copied.
 *
 * @throws destinations.mixed where the destination has another record under an ordinal than a source has
 */
export async function catchUp(work: CatchUp): Promise<number> {
  const { sources, onMissing, onWithheld } = work;
  const { known, hasCommit } = await ordinalsOf(work);
  const data = withoutKnown(work.data, known);
  const { structure, commits } = await metadataOf(
    work,
    (ordinal, kind) =>
      known.has(ordinal) || data.has(ordinal) || (!hasCommit && work.isClosed?.(ordinal, kind) === true),
  );
  const copier = new Copier(work, { data, structure });
  for (const from of sources) {
    for await (const { ordinal } of from.list()) {
      if (data.isUnmarked(ordinal) || structure.isUnmarked(ordinal)) await copier.copy(from, ordinal);
    }
    await copier.flush();
  }
  const missing = data.unmarked();
  if (missing.length > 0) onMissing(missing);
  const withheld = unmarkedOnce(structure);
  if (withheld.length > 0) await onWithheld(withheld);
  await copyCommits(work, copier, unmarkedOnce(commits));
  return copier.copiedBytes;
}

/** By ordinal: a writer's commits rise with it, and the next writer's follow. One by one, since their order counts. */
async function copyCommits({ sources, to }: CatchUp, copier: Copier, commits: readonly Ordinal[]): Promise<void> {
  let isOneWithheld = false;
  for (const ordinal of commits) {
    let isCopied = false;
    try {
      for (const from of sources) isCopied ||= await copier.copyAlone(from, ordinal);
    } catch (error) {
      // It follows one that nobody gave.
      const isRefused = isOneWithheld && error instanceof CodedError && !isRetryable(error);
      throw isRefused ? destinationErrors.behind({ destination: to.name }, error) : error;
    }
    isOneWithheld ||= !isCopied;
  }
}

/** What holds no data, is listed by any source and is not to be left out. One may be there several times. */
async function metadataOf(
  { sources, withMetadata, withLiveSets }: CatchUp,
  isLeftOut: (ordinal: Ordinal, kind: number) => boolean,
): Promise<{ readonly structure: OrdinalTable; readonly commits: OrdinalTable }> {
  const [structure, commits] = [new OrdinalTable(), new OrdinalTable()];
  for (const source of withMetadata ? sources : []) {
    for await (const { ordinal, kind } of source.list()) {
      if (kind === RecordKind.live && !withLiveSets) continue;
      if (!isData(kind) && !isKept(kind) && !isLeftOut(ordinal, kind))
        (isLast(kind) ? commits : structure).add(ordinal);
    }
  }
  return { structure, commits };
}

/** Those that were not marked, rising, each once. */
function unmarkedOnce(table: OrdinalTable): readonly Ordinal[] {
  return [...new Set(table.unmarked().filter((ordinal) => table.isUnmarked(ordinal)))];
}

function isData(kind: number): boolean {
  return kind === RecordKind.block || kind === RecordKind.bundle;
}

/** What makes the rest count. */
function isLast(kind: number): boolean {
  return kind === RecordKind.commit || kind === RecordKind.live;
}

/** Header and keyrings are sent by the device itself. */
function isKept(kind: number): boolean {
  return kind === RecordKind.header || kind === RecordKind.keyring;
}

/** What a destination lacks: needed data, and what other records there are but commits. What came is marked. */
type Lacking = { readonly data: OrdinalTable; readonly structure: OrdinalTable };

/** Moves records from one session at a time to the one that lacks them. */
class Copier {
  readonly #work: CatchUp;
  readonly #lacking: Lacking;
  #from: DestinationSession | undefined;
  #waiting: Ordinal[] = [];
  copiedBytes = 0;

  constructor(work: CatchUp, lacking: Lacking) {
    this.#work = work;
    this.#lacking = lacking;
  }

  async copy(from: DestinationSession, ordinal: Ordinal): Promise<void> {
    this.#from = from;
    this.#waiting.push(ordinal);
    if (this.#waiting.length >= readAtOnce) await this.flush();
  }

  /** Copies what counts last. Returns whether the source gave it. */
  async copyAlone(from: DestinationSession, ordinal: Ordinal): Promise<boolean> {
    const before = this.copiedBytes;
    await this.#append(this.#genuine(from, [ordinal], isLast));
    return this.copiedBytes > before;
  }

  async flush(): Promise<void> {
    const from = this.#from;
    const ordinals = this.#waiting.splice(0);
    if (!from || ordinals.length === 0) return;
    const { data } = this.#lacking;
    // What makes the rest count must not come as a part of it.
    const isExpected = (kind: number, ordinal: Ordinal) => isData(kind) === data.has(ordinal) && !isLast(kind);
    await this.#append(this.#genuine(from, ordinals, isExpected));
  }

  /** Of what a source gives, the records that were asked for, each once and as it was sealed; the others are not there. */
  async *#genuine(
    from: DestinationSession,
    ordinals: readonly Ordinal[],
    isExpected: (kind: number, ordinal: Ordinal) => boolean,
  ): AsyncGenerator<Uint8Array> {
    const wanted = new Set(ordinals);
    for await (const record of from.read(ordinals, this.#work.signal)) {
      const { ordinal, kind } = parseRecordHeader(record);
      if (wanted.has(ordinal) && !isKept(kind) && isExpected(kind, ordinal) && this.#work.isGenuine(record)) {
        wanted.delete(ordinal);
        yield record;
      }
    }
  }

  async #append(records: AsyncIterable<Uint8Array>): Promise<void> {
    const { signal, to, onCopied } = this.#work;
    const onAppended = (appended: readonly Uint8Array[], bytes: number) => {
      for (const record of appended) {
        const { ordinal } = parseRecordHeader(record);
        this.#lacking.data.mark(ordinal);
        this.#lacking.structure.mark(ordinal);
      }
      this.copiedBytes += bytes;
      onCopied?.(this.copiedBytes);
    };
    await appendRecords(to, records, { signal, onAppended });
  }
}

function withoutKnown(ordinals: Iterable<Ordinal>, known: OrdinalTable): OrdinalTable {
  const table = new OrdinalTable();
  for (const ordinal of ordinals) if (!known.has(ordinal)) table.add(ordinal);
  return table;
}

/** What the destination has, once it is sure that it has it of this life of the device. */
async function ordinalsOf(work: CatchUp): Promise<{ readonly known: OrdinalTable; readonly hasCommit: boolean }> {
  const table = new OrdinalTable();
  let newestCommit = 0;
  for await (const { ordinal, kind } of work.to.list()) {
    table.add(ordinal);
    if (kind === RecordKind.commit) newestCommit = Math.max(newestCommit, ordinal);
  }
  await expectUnmixed(work, table.after(newestCommit, compared));
  return { known: table, hasCommit: newestCommit > 0 };
}

/**
 * Compares the first records that came to the destination after its newest commit with those of the sources. Two lives of
 * a device that begin at one state use the same ordinals from there on: what one has sent is not what the other has.
 */
async function expectUnmixed({ to, sources, signal, isProof }: CatchUp, ordinals: readonly Ordinal[]): Promise<void> {
  if (ordinals.length === 0) return;
  const there = new Map<Ordinal, Uint8Array>();
  for await (const record of to.read(ordinals, signal)) there.set(parseRecordHeader(record).ordinal, record.slice());
  for (const source of sources) {
    for await (const record of source.read([...there.keys()], signal)) {
      const { ordinal } = parseRecordHeader(record);
      const other = there.get(ordinal);
      const isDiffering = other !== undefined && Buffer.compare(other, record) !== 0;
      // One that is damaged proves nothing.
      if (isDiffering && isProof(other) && isProof(record))
        throw destinationErrors.mixed({ destination: to.name, ordinal });
    }
  }
}

/**
 * Sends the header and the keyrings that a destination lacks: as one fragment, so that a place which asks something of an
 * archive's keyring judges the newest one and not those on the way there.
 */
export async function sendKeyRecords(session: DestinationSession, keyRecords: readonly Uint8Array[]): Promise<void> {
  const present = session.keyringNumber;
  const isThere = new Set<number>();
  if (present === 0) for await (const { ordinal } of session.list(RecordKind.header)) isThere.add(ordinal);
  // The first is the header, the keyring of number n is the one at n.
  const lacking = keyRecords
    .filter((_, place) => (place === 0 ? present === 0 : place > present))
    .filter((record) => !isThere.has(parseRecordHeader(record).ordinal));
  const { signal } = new AbortController();
  await appendRecords(session, inTurn(lacking), { signal, onAppended: () => undefined });
}

async function* inTurn(records: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* records;
}
