import { createSigningKey, type SigningKey, signMessage } from '../crypto/ed25519.node.ts';
import { encodeCommitOpen, encodeCommitSealed } from '../format/commit.ts';
import { zeroHash } from '../format/extent.ts';
import { encodeKeyring, type Keyring, type KeyringSlot, type Writer } from '../format/keyring.ts';
import { deriveEpochKeys } from '../format/keys.node.ts';
import { type Ordinal, ordinalOf } from '../format/ordinal.ts';
import { type SealContent, sealRecord } from '../format/seal.node.ts';
import type { Time } from '../format/time.ts';
import { type ArchiveMaker, type MadeCommit, type MadeRecord } from './archive-maker.ts';

/** A writer nobody let in: records that somebody with access to a store can put beside those of an archive. */
export class Forger {
  readonly #maker: ArchiveMaker;
  readonly #key: SigningKey;
  readonly #writer: number;
  #sequence = 0;

  constructor(maker: ArchiveMaker) {
    this.#maker = maker;
    this.#key = createSigningKey(maker.random(32));
    this.#writer = maker.writer + 1;
  }

  /**
   * A keyring that lists its own signer from a commit on; without slots and a ring of the forger's own its sealed part is
   * noise, as it is without any key.
   */
  keyring(
    number: number,
    firstCommit: number,
    previous: Uint8Array = zeroHash,
    own: { readonly slots: readonly KeyringSlot[]; readonly ringKey?: Uint8Array; readonly ring?: Uint8Array } = {
      slots: [],
    },
  ): MadeRecord {
    const before = this.#maker.writers.map(({ key, ...writer }): Writer => ({ ...writer, publicKey: key.publicKey }));
    const publicKey = this.#key.publicKey;
    const forger: Writer = { number: this.#writer, publicKey, firstCommit, origin: 'recovery_code' };
    const keyring: Keyring = { number, previous, slots: own.slots, writers: [...before, forger] };
    const raw = own.ring ?? this.#maker.random(200);
    return this.#seal({ kind: 'keyring', open: encodeKeyring(keyring), raw }, this.#maker.ring, own.ringKey);
  }

  /** A commit after another that names a keyring: properly sealed with the archive's keys, or as noise. */
  commit(
    after: MadeCommit,
    named: { readonly number: number; readonly sha256: Uint8Array },
    isSealed = true,
  ): MadeRecord {
    return this.#seal(emptyCommit(after, named, after.time), isSealed ? this.#maker.ring : noiseRing(this.#maker));
  }

  #seal(
    content: Pick<SealContent, 'kind' | 'open' | 'raw'>,
    ring = this.#maker.ring,
    ringKey: Uint8Array = this.#maker.random(32),
  ): MadeRecord {
    const { archiveId, random, epochNumber: epoch } = this.#maker;
    const ordinal: Ordinal = ordinalOf(this.#writer, this.#sequence++);
    const sign = (message: Uint8Array) => signMessage(this.#key, message);
    const keys = { archiveId, ring, sign, ringKey };
    return { kind: content.kind, ordinal, bytes: sealRecord({ ...content, epoch, ordinal }, keys, random) };
  }
}

function noiseRing({ archiveId, epochNumber, random }: ArchiveMaker): ArchiveMaker['ring'] {
  return new Map([[epochNumber, deriveEpochKeys(archiveId, epochNumber, random(32))]]);
}

/** A commit behind another, with the next number, that names a keyring and puts nothing. */
export function emptyCommit(
  after: { readonly number: number; readonly sha256: Uint8Array },
  keyring: { readonly number: number; readonly sha256: Uint8Array },
  time: Time,
) {
  const none = { checkpoint: 0, readFeatures: [], writeFeatures: [] };
  const open = encodeCommitOpen({ number: after.number + 1, previous: after.sha256, ...none });
  return { kind: 'commit', open, raw: encodeCommitSealed({ time, corrections: [], keyring, puts: [] }) } as const;
}
