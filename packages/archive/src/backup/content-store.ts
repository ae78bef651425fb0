/**
 * From bytes to extents, in one worker: deduplicate, gather small files into bundles, seal, verify, hand over.
 *
 * Not guaranteed: that equal bytes seen by two workers at one time are stored once; the later commit keeps both.
 */
import { hash } from 'node:crypto';
import { type BlockLookup, type BlockPlace, type OwnedRecords, unionOfSets } from '../index/block-table.ts';
import type { Extent } from '../format/extent.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { backupErrors } from './errors.ts';
import { RecentBlocks } from './recent-blocks.ts';
import { choosePlace, type DestinationMask, type Routes } from './routes.ts';
import { ownersOf } from './set-list.ts';

/** Files below this length share bundles. */
export const bundledBelowBytes = 64 * 1024;
const closeBundleAtBytes = 512 * 1024;
const maxOpenBundles = 4;
const maxRecentBlocks = 65_536;

/**
 * Whose bytes may share one compression and one record: one owner's, those of the same backup sets, and never with what
 * looks like credentials.
 */
export type BundleClass = {
  readonly uid: number;
  readonly isCredential: boolean;
  /** By rising number. */
  readonly sets: readonly number[];
};

/** A record to be sealed under an ordinal that was reserved for it. */
export type NewRecord = {
  readonly kind: 'block' | 'bundle' | 'list' | 'tree';
  readonly ordinal: Ordinal;
  readonly raw: Uint8Array;
  readonly sha256?: Uint8Array;
  /** The raw bytes begin a file: its magic number says whether to compress. */
  readonly isFileStart?: boolean;
  /** Where it goes; everywhere where left out. */
  readonly destinations?: DestinationMask;
};

/** How a worker stores one record: seals it under an ordinal of its own, and hands it on. */
export type RecordStore = {
  reserve(): Ordinal;
  put(record: NewRecord): void;
};

type OpenBundle = {
  readonly ordinal: Ordinal;
  readonly bytes: Uint8Array;
  length: number;
  readonly key: string;
  readonly destinations: DestinationMask;
};

/** Stores the pieces of files; one per worker. */
export class ContentStore {
  readonly #records: RecordStore;
  readonly #known: BlockLookup | undefined;
  readonly #routes: Routes;
  readonly #bundles = new Map<string, OpenBundle>();
  readonly #spares: Uint8Array[] = [];
  /** Blocks of this worker that no acknowledged commit has made known yet, by the sets they were stored for. */
  readonly #recent = new Map<readonly number[], RecentBlocks>();
  /** Which sets need which records, by list; new since the last call. */
  #owned = new Map<string, { sets: readonly number[]; isBundle: boolean; ordinals: Set<Ordinal> }>();
  #newBytes = 0;

  constructor(records: RecordStore, known: BlockLookup | undefined, routes: Routes) {
    this.#records = records;
    this.#known = known;
    this.#routes = routes;
  }

  /**
   * Stores a piece of a large file as a block, unless its bytes are known where these sets need them. `isFileStart`: the
   * file's first bytes. @throws backup.nowhere_to_go
   */
  storePiece(bytes: Uint8Array, isFileStart: boolean, ofSets: readonly number[]): Extent {
    const sets = ownersOf(ofSets);
    const sha256 = hash('sha256', bytes, 'buffer');
    const known = this.#find(sha256, bytes.length, sets);
    if (known) return known;
    const destinations = this.#targetsOf(sets);
    const ordinal = this.#records.reserve();
    this.#records.put({ kind: 'block', ordinal, raw: bytes, sha256, isFileStart, destinations });
    this.#own(ordinal, sets, false);
    return this.#remember({ ordinal, offset: 0, length: bytes.length, sha256 }, sets);
  }

  /** Stores a whole small stream in a bundle of its class, unless its bytes are known. @throws backup.nowhere_to_go */
  storeSmall(bytes: Uint8Array, { uid, isCredential, sets: ofSets }: BundleClass): Extent {
    const sets = ownersOf(ofSets);
    const sha256 = hash('sha256', bytes, 'buffer');
    const known = this.#find(sha256, bytes.length, sets);
    if (known) return known;
    const bundle = this.#bundleFor({ uid, isCredential, sets });
    const offset = bundle.length;
    bundle.bytes.set(bytes, offset);
    bundle.length += bytes.length;
    const { ordinal } = bundle;
    const extent = this.#remember({ ordinal, offset, length: bytes.length, sha256 }, sets);
    if (bundle.length >= closeBundleAtBytes) this.#close(bundle);
    return extent;
  }

  /** Where bytes of this hash lie already, if these sets may refer to them there. */
  known(sha256: Uint8Array, length: number, ofSets: readonly number[]): Extent | undefined {
    return this.#find(sha256, length, ownersOf(ofSets));
  }

  /** Closes the open bundles, so that everything stored so far can be sent. */
  flush(): void {
    for (const bundle of this.#bundles.values()) this.#close(bundle);
  }

  /** The blocks stored since the last call, packed for the index. */
  takeFresh(): Uint8Array<ArrayBuffer> {
    const [first, ...others] = [...this.#recent.values()].map((recent) => recent.takeFresh());
    if (first && others.length === 0) return first;
    return new Uint8Array(Buffer.concat(first ? [first, ...others] : []));
  }

  /** Which sets need which records, as far as it is new since the last call. */
  takeOwned(): readonly OwnedRecords[] {
    const owned = [...this.#owned.values()].map(({ ordinals, ...of }) => ({ ...of, ordinals: [...ordinals] }));
    this.#owned = new Map();
    return owned;
  }

  /** Bytes that were new since the last call, before compression. */
  takeNewBytes(): number {
    const bytes = this.#newBytes;
    this.#newBytes = 0;
    return bytes;
  }

  #find(sha256: Uint8Array, length: number, sets: readonly number[]): Extent | undefined {
    const recent = this.#findRecent(sha256, sets);
    if (recent) return recent;
    const places = this.#known?.find(sha256);
    if (!places || places.length === 0) return undefined;
    // A length that differs under one SHA-256 can only be a damaged index: store the bytes again.
    const place = choosePlace(placesOfLength(places, length), sets, this.#routes);
    if (!place) return undefined;
    if (unionOfSets(place.sets, sets) !== place.sets) this.#own(place.ordinal, sets, place.isBundle);
    return { ordinal: place.ordinal, offset: place.at, length, sha256 };
  }

  /** One that was stored for the same sets, or for others whose blocks go wherever these are needed. */
  #findRecent(sha256: Uint8Array, sets: readonly number[]): Extent | undefined {
    const same = this.#recent.get(sets)?.find(sha256);
    if (same) return same;
    for (const [others, blocks] of this.#recent) {
      const isEnough = others !== sets && (this.#routes.sendsTo(sets) & ~this.#routes.sendsTo(others)) === 0;
      const found = isEnough ? blocks.find(sha256) : undefined;
      if (!found) continue;
      // Of what kind the record is was said when it was stored.
      this.#own(found.ordinal, sets, false);
      return found;
    }
    return undefined;
  }

  #own(ordinal: Ordinal, sets: readonly number[], isBundle: boolean): void {
    const key = `${isBundle}:${sets.join()}`;
    const owned = this.#owned.get(key);
    if (owned) owned.ordinals.add(ordinal);
    else this.#owned.set(key, { sets, isBundle, ordinals: new Set([ordinal]) });
  }

  #targetsOf(sets: readonly number[]): DestinationMask {
    const targets = this.#routes.sendsTo(sets) & this.#routes.ready;
    if (targets === 0) throw backupErrors.nowhere_to_go();
    return targets;
  }

  #remember(extent: Extent, sets: readonly number[]): Extent {
    this.#newBytes += extent.length;
    let recent = this.#recent.get(sets);
    if (!recent) this.#recent.set(sets, (recent = new RecentBlocks(maxRecentBlocks)));
    recent.add(extent);
    return extent;
  }

  #bundleFor({ uid, isCredential, sets }: BundleClass): OpenBundle {
    const key = `${uid}:${isCredential}:${sets.join()}`;
    const open = this.#bundles.get(key);
    if (open) return open;
    if (this.#bundles.size >= maxOpenBundles) this.#close(this.#bundles.values().next().value!);
    const destinations = this.#targetsOf(sets);
    const bytes = this.#spares.pop() ?? new Uint8Array(closeBundleAtBytes + bundledBelowBytes);
    const bundle = { ordinal: this.#records.reserve(), bytes, length: 0, key, destinations };
    this.#own(bundle.ordinal, sets, true);
    this.#bundles.set(key, bundle);
    return bundle;
  }

  #close(bundle: OpenBundle): void {
    this.#bundles.delete(bundle.key);
    const { ordinal, destinations } = bundle;
    this.#records.put({ kind: 'bundle', ordinal, raw: bundle.bytes.subarray(0, bundle.length), destinations });
    this.#spares.push(bundle.bytes);
  }
}

function placesOfLength(places: readonly BlockPlace[], length: number): readonly BlockPlace[] {
  return places.every((place) => place.length === length) ? places : places.filter((place) => place.length === length);
}
