/**
 * From bytes to extents, in one worker: deduplicate, gather small files into bundles, seal, verify, hand over.
 *
 * Not guaranteed: that equal bytes seen by two workers at one time are stored once; the later commit keeps both.
 */
import { hash } from 'node:crypto';
import type { BlockLookup } from '../index/local-index.ts';
import { packedBlockBytes } from '../index/local-index.ts';
import type { Extent } from '../format/extent.ts';
import type { Ordinal } from '../format/ordinal.ts';

/** Files below this length share bundles. */
export const bundledBelowBytes = 64 * 1024;
const closeBundleAtBytes = 512 * 1024;
const maxOpenBundles = 4;
const maxRecentBlocks = 65_536;

/** Whose bytes may share one compression: one owner's, and never with what looks like credentials. */
export type BundleClass = { readonly uid: number; readonly isCredential: boolean };

/** A record to be sealed under an ordinal that was reserved for it. */
export type NewRecord = {
  readonly kind: 'block' | 'bundle' | 'list' | 'tree';
  readonly ordinal: Ordinal;
  readonly raw: Uint8Array;
  readonly sha256?: Uint8Array;
  /** The raw bytes begin a file: its magic number says whether to compress. */
  readonly isFileStart?: boolean;
};

/** How a worker stores one record: seals it under an ordinal of its own, and hands it on. */
export type RecordStore = {
  reserve(): Ordinal;
  put(record: NewRecord): void;
};

type OpenBundle = { readonly ordinal: Ordinal; readonly bytes: Uint8Array; length: number; readonly key: string };

/** Stores the pieces of files; one per worker. */
export class ContentStore {
  readonly #records: RecordStore;
  readonly #known: BlockLookup | undefined;
  readonly #bundles = new Map<string, OpenBundle>();
  readonly #spares: Uint8Array[] = [];
  /** Blocks of this worker that no acknowledged commit has made known yet. */
  #recent = new Map<string, Extent>();
  #fresh: Extent[] = [];
  #newBytes = 0;

  constructor(records: RecordStore, known: BlockLookup | undefined) {
    this.#records = records;
    this.#known = known;
  }

  /** Stores a piece of a large file as a block, unless its bytes are known. `isFileStart`: the file's first bytes. */
  storePiece(bytes: Uint8Array, isFileStart: boolean): Extent {
    const sha256 = hash('sha256', bytes, 'buffer');
    const known = this.#find(sha256, bytes.length);
    if (known) return known;
    const ordinal = this.#records.reserve();
    this.#records.put({ kind: 'block', ordinal, raw: bytes, sha256, isFileStart });
    return this.#remember({ ordinal, offset: 0, length: bytes.length, sha256 });
  }

  /** Stores a whole small stream in a bundle of its class, unless its bytes are known. */
  storeSmall(bytes: Uint8Array, bundleClass: BundleClass): Extent {
    const sha256 = hash('sha256', bytes, 'buffer');
    const known = this.#find(sha256, bytes.length);
    if (known) return known;
    const bundle = this.#bundleFor(bundleClass);
    const offset = bundle.length;
    bundle.bytes.set(bytes, offset);
    bundle.length += bytes.length;
    const extent = this.#remember({ ordinal: bundle.ordinal, offset, length: bytes.length, sha256 });
    if (bundle.length >= closeBundleAtBytes) this.#close(bundle);
    return extent;
  }

  /** Closes the open bundles, so that everything stored so far can be sent. */
  flush(): void {
    for (const bundle of this.#bundles.values()) this.#close(bundle);
  }

  /** The blocks stored since the last call, packed for the index. */
  takeFresh(): Uint8Array<ArrayBuffer> {
    const packed = new Uint8Array(this.#fresh.length * packedBlockBytes);
    const view = new DataView(packed.buffer);
    for (const [index, extent] of this.#fresh.entries()) {
      const at = index * packedBlockBytes;
      packed.set(extent.sha256, at);
      view.setFloat64(at + 32, extent.ordinal, true);
      view.setUint32(at + 40, extent.offset, true);
      view.setUint32(at + 44, extent.length, true);
    }
    this.#fresh = [];
    return packed;
  }

  /** Bytes that were new since the last call, before compression. */
  takeNewBytes(): number {
    const bytes = this.#newBytes;
    this.#newBytes = 0;
    return bytes;
  }

  #find(sha256: Uint8Array, length: number): Extent | undefined {
    const recent = this.#recent.get(keyOf(sha256));
    if (recent) return recent;
    const place = this.#known?.find(sha256);
    // A length that differs under one SHA-256 can only be a damaged index: store the bytes again.
    if (!place || place.length !== length) return undefined;
    return { ordinal: place.ordinal, offset: place.at, length, sha256 };
  }

  #remember(extent: Extent): Extent {
    this.#newBytes += extent.length;
    this.#fresh.push(extent);
    if (this.#recent.size >= maxRecentBlocks) this.#recent = new Map();
    this.#recent.set(keyOf(extent.sha256), extent);
    return extent;
  }

  #bundleFor({ uid, isCredential }: BundleClass): OpenBundle {
    const key = `${uid}:${isCredential}`;
    const open = this.#bundles.get(key);
    if (open) return open;
    if (this.#bundles.size >= maxOpenBundles) this.#close(this.#bundles.values().next().value!);
    const bytes = this.#spares.pop() ?? new Uint8Array(closeBundleAtBytes + bundledBelowBytes);
    const bundle = { ordinal: this.#records.reserve(), bytes, length: 0, key };
    this.#bundles.set(key, bundle);
    return bundle;
  }

  #close(bundle: OpenBundle): void {
    this.#bundles.delete(bundle.key);
    this.#records.put({ kind: 'bundle', ordinal: bundle.ordinal, raw: bundle.bytes.subarray(0, bundle.length) });
    this.#spares.push(bundle.bytes);
  }
}

function keyOf(sha256: Uint8Array): string {
  return Buffer.from(sha256.buffer, sha256.byteOffset, 16).toString('latin1');
}
