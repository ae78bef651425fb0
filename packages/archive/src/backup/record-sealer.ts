import { systemRandom } from '@holdfast/base';
import { createSigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { release } from '../crypto/release.ts';
import { ordinalOf, type Ordinal } from '../format/ordinal.ts';
import { openRecordSync, planSeal, type SealContent, sealInto, type SealKeys } from '../format/seal.node.ts';
import { deriveEpochKeys } from '../format/keys.node.ts';
import type { EpochKeys } from '../format/keys.ts';
import type { NewRecord, RecordStore } from './content-store.ts';
import { backupErrors } from './errors.ts';
import type { FragmentRouter } from './fragment-router.ts';
import type { DestinationMask } from './routes.ts';
import type { SharedControl } from './shared-control.ts';

/** The secrets of the epoch that new records are sealed under. */
export type EpochSecrets = {
  readonly archiveId: Uint8Array;
  readonly epoch: number;
  /** 32 bytes. */
  readonly epochKey: Uint8Array;
  /** Key of the epoch that seeds the chunker: it stays while epochs change, or nothing would be found again. */
  readonly chunkingEpochKey: Uint8Array;
};

/** One block in so many is opened again before it is sent; everything else always is. */
const openedBlocks = 16;

/** Seals records straight into fragments, and opens them again: bytes that memory spoilt must not be referred to. */
export class RecordSealer implements RecordStore {
  /** 32 bytes that seed the chunker. */
  readonly chunkingKey: Uint8Array;
  readonly #epoch: number;
  readonly #writerNumber: number;
  readonly #keys: SealKeys & { readonly random: typeof systemRandom };
  readonly #control: SharedControl;
  readonly #fragments: FragmentRouter;
  readonly #everywhere: DestinationMask;
  #blocks = 0;

  /** `everywhere`: the destinations of what is needed at each. */
  constructor(
    setup: { readonly secrets: EpochSecrets; readonly writerNumber: number; readonly everywhere: DestinationMask },
    control: SharedControl,
    fragments: FragmentRouter,
  ) {
    const { archiveId, epoch, epochKey, chunkingEpochKey } = setup.secrets;
    const keys: EpochKeys = deriveEpochKeys(archiveId, epoch, epochKey);
    this.chunkingKey = deriveEpochKeys(archiveId, epoch, chunkingEpochKey).chunking;
    this.#epoch = epoch;
    this.#writerNumber = setup.writerNumber;
    this.#keys = { archiveId, ring: new Map([[epoch, keys]]), random: systemRandom };
    this.#control = control;
    this.#fragments = fragments;
    this.#everywhere = setup.everywhere;
  }

  reserve(): Ordinal {
    const sequence = this.#control.takeSequence();
    if (sequence === undefined) throw backupErrors.stopped();
    return ordinalOf(this.#writerNumber, sequence);
  }

  put(record: NewRecord): void {
    const { kind, ordinal, raw, sha256, isFileStart, destinations = this.#everywhere } = record;
    const isBlock = kind === 'block';
    const content: SealContent = {
      kind,
      epoch: this.#epoch,
      ordinal,
      raw,
      compression: isBlock ? 'probe' : 'zstd',
      level: isBlock ? 1 : 3,
      ...(sha256 && { sha256 }),
      ...(isFileStart && { isFileStart }),
    };
    this.#add(content, destinations);
  }

  #add(content: SealContent, destinations: DestinationMask): void {
    const plan = planSeal(content);
    const isOpened = content.kind !== 'block' || this.#blocks++ % openedBlocks === 0;
    const wasAdded = this.#fragments.writerFor(destinations).add(plan.lengthBytes, (target, offset) => {
      sealInto(target, offset, plan, this.#keys);
      if (isOpened) release(openRecordSync(target.subarray(offset, offset + plan.lengthBytes), this.#keys).raw);
    });
    if (!wasAdded) throw backupErrors.stopped();
  }
}

/** Seals and signs one record of a signed kind: a commit, a keyring, a live set. */
export function sealSigned(
  content: SealContent,
  keys: Omit<SealKeys, 'sign'>,
  signingSeed: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const signingKey = createSigningKey(signingSeed);
  const plan = planSeal(content);
  const record = new Uint8Array(plan.lengthBytes);
  sealInto(record, 0, plan, { ...keys, random: systemRandom, sign: (message) => signMessage(signingKey, message) });
  return record;
}
