import { RecoverError } from '../errors.ts';
import { nameOrdinal, type Ordinal } from '../format/bytes.ts';
import { associatedData, kinds, nonceOf, type RecordFrame } from '../format/record.ts';
import type { Extent, Reference } from '../format/reference.ts';
import { openSealed, type Raw, sha256, unwrapPlaintext } from '../format/sealing.ts';
import { type EpochKeys, readingKey } from './epoch-keys.ts';
import type { Findings } from './findings.ts';
import type { IndexedPlace } from './place-index.ts';
import { quietly } from './quietly.ts';
import type { Shelf } from './shelf.ts';

const CACHE_BYTES = 48 * 1024 * 1024;
const PLACES_TRIED = 64;

type Opened = Raw & { readonly kind: number };
type Failure = 'missing' | 'damaged' | 'locked' | 'mismatch';
type Wanted = { readonly kinds: readonly number[]; readonly holds: (opened: Opened) => boolean };

/**
 * Opens sealed parts by ordinal, from whichever place holds what is asked for.
 *
 * Keeps up to 48 MiB of raw bytes, those used last, so a bundle is opened once for the files in it.
 */
export class RecordReader {
  readonly archiveId: Buffer;
  readonly #shelf: Shelf;
  readonly #epochKeys: EpochKeys;
  readonly #findings: Findings;
  readonly #keys = new Map<string, readonly Buffer[]>();
  readonly #cache = new Map<Ordinal, Opened>();
  #cachedBytes = 0;

  constructor(shelf: Shelf, keys: { readonly archiveId: Buffer; readonly epochKeys: EpochKeys }, findings: Findings) {
    this.#shelf = shelf;
    this.archiveId = keys.archiveId;
    this.#epochKeys = keys.epochKeys;
    this.#findings = findings;
  }

  /** Raw bytes a reference names. @throws record.missing, record.damaged, record.locked */
  follow(reference: Reference, kind: number): Buffer {
    return this.#find(reference.ordinal, { kinds: [kind], holds: (opened) => opened.sha256.equals(reference.sha256) })
      .bytes;
  }

  /** The bytes of an extent that is no hole, checked against its hash. @throws as `follow` */
  piece(extent: Extent): Buffer {
    const slice = (opened: Opened) => opened.bytes.subarray(extent.offset, extent.offset + extent.length);
    const holds = (opened: Opened) =>
      slice(opened).length === extent.length && sha256(slice(opened)).equals(extent.sha256);
    return slice(this.#find(extent.ordinal, { kinds: [kinds.block, kinds.bundle], holds }));
  }

  /** Opens the sealed part of a frame; undefined when the tag or what is inside does not hold, `locked` without its key. */
  open(frame: RecordFrame): Raw | 'locked' | undefined {
    const keys = this.#keysFor(frame);
    if (keys.length === 0) return 'locked';
    for (const raw of openingsOf(frame, keys, this.archiveId)) return raw;
    return undefined;
  }

  /** What a record may be opened with: an epoch can have several keys, where somebody added keyrings. */
  #keysFor(frame: RecordFrame): readonly Buffer[] {
    const part = frame.kind === kinds.block || frame.kind === kinds.bundle ? 'data' : 'metadata';
    const name = `${frame.epoch} ${part}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const keys = (this.#epochKeys.get(frame.epoch) ?? []).map((key) => readingKey(key, this.archiveId, part));
    this.#keys.set(name, keys);
    return keys;
  }

  #find(ordinal: Ordinal, wanted: Wanted): Opened {
    const cached = this.#cache.get(ordinal);
    if (cached !== undefined && wanted.kinds.includes(cached.kind) && wanted.holds(cached)) {
      this.#cache.delete(ordinal);
      this.#cache.set(ordinal, cached);
      return cached;
    }
    let worst: Failure = 'missing';
    const tried: string[] = [];
    for (const place of this.#shelf.index.placesOf(ordinal)) {
      if (tried.length === PLACES_TRIED) break;
      const opened = this.#openPlace(place, wanted);
      if (typeof opened !== 'string') return this.#keep(ordinal, opened);
      if (opened === 'mismatch') this.#noteMismatch(place);
      worst = opened;
      tried.push(`${this.#shelf.describe(place)} ${opened}`);
    }
    throw failureError(ordinal, worst, tried);
  }

  #openPlace(place: IndexedPlace, wanted: Wanted): Opened | Failure {
    const frame = this.#shelf.read(place);
    if (frame === undefined) return 'damaged';
    if (!wanted.kinds.includes(frame.kind)) return 'mismatch';
    const keys = this.#keysFor(frame);
    if (keys.length === 0) return 'locked';
    let failure: Failure = 'damaged';
    for (const raw of openingsOf(frame, keys, this.archiveId)) {
      const opened = { ...raw, kind: frame.kind };
      if (wanted.holds(opened)) return opened;
      failure = 'mismatch';
    }
    return failure;
  }

  #noteMismatch(place: IndexedPlace): void {
    this.#findings.add({
      severity: 'notice',
      code: 'record.other_content',
      message:
        'a valid record does not have the content its reference names: its ordinal was sealed twice, or the reference is wrong',
      records: [nameOrdinal(place.ordinal)],
      where: this.#shelf.describe(place),
    });
  }

  #keep(ordinal: Ordinal, opened: Opened): Opened {
    const before = this.#cache.get(ordinal);
    if (before !== undefined) this.#cachedBytes -= before.bytes.length;
    this.#cache.delete(ordinal);
    this.#cache.set(ordinal, opened);
    this.#cachedBytes += opened.bytes.length;
    for (const [oldest, { bytes }] of this.#cache) {
      if (this.#cachedBytes <= CACHE_BYTES) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= bytes.length;
    }
    return opened;
  }
}

/** What a frame's sealed part is under each of the keys that open it: whoever knows two can make one part for both. */
function* openingsOf(frame: RecordFrame, keys: readonly Buffer[], archiveId: Buffer): Generator<Raw> {
  const seal = { nonce: nonceOf(frame), associated: associatedData(archiveId, frame) };
  for (const key of keys) {
    const plain = openSealed({ key, ...seal }, frame.sealed);
    const raw = plain && quietly(() => unwrapPlaintext(plain));
    if (raw !== undefined) yield raw;
  }
}

function failureError(ordinal: Ordinal, worst: Failure, tried: readonly string[]): RecoverError {
  const details = { record: nameOrdinal(ordinal), tried };
  if (worst === 'missing') return new RecoverError('record.missing', details);
  if (worst === 'locked') return new RecoverError('record.locked', details);
  return new RecoverError('record.damaged', details);
}
