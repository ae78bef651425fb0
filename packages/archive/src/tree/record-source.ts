import type { XaesOpener } from '../crypto/xaes.ts';
import type { Sha256 } from '../format/extent.ts';
import type { KeyringSlot } from '../format/keyring.ts';
import type { OpenTools } from '../format/open.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { SlotPlace } from '../format/slot.ts';

/** Where records come from: a folder, a server, memory. What it gives need not be valid. */
export type RecordSource = {
  /** Ordinals of the records of a kind, in any order, maybe more than once. */
  ordinalsOf(kind: number): AsyncIterable<Ordinal>;
  /** The whole record; undefined when it is not there. */
  read(ordinal: Ordinal): Promise<Uint8Array<ArrayBuffer> | undefined>;
};

/** What reading needs of its surroundings besides WebCrypto. */
export type ReadTools = OpenTools & {
  /** SHA-256 bit by bit, for content hashes. */
  readonly createSha256: () => Sha256;
  /** Ed25519: whether the message is signed under the 32-byte key. */
  readonly verify: (
    publicKey: Uint8Array<ArrayBuffer>,
    message: Uint8Array<ArrayBuffer>,
    signature: Uint8Array<ArrayBuffer>,
  ) => Promise<boolean> | boolean;
  /** XAES-256-GCM under a 32-byte key; by WebCrypto when left out. */
  readonly createOpener?: (key: Uint8Array<ArrayBuffer>) => XaesOpener | Promise<XaesOpener>;
};

/** How much work a slot may cause: all that its kind allows, or none that was not done for another slot before. */
export type SlotEffort = 'any' | 'none';

/**
 * Gives the ring key (32 bytes) of a slot, which is overwritten once it was used; undefined where the secret is another
 * slot's or kind's.
 *
 * A slot for which it throws a declared error is passed over, and the error is among the problems.
 */
export type OpenSlot = (
  slot: KeyringSlot,
  place: SlotPlace,
  effort: SlotEffort,
) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

/** What opens an archive: the 32 bytes of a recovery code, another secret that opens slots, or the epoch keys of a key file. */
export type ReadAccess =
  | { readonly entropy: Uint8Array }
  | { readonly openSlot: OpenSlot }
  | { readonly epochs: readonly { readonly number: number; readonly key: Uint8Array }[] };

/** What is read where there are several lives of an archive. */
export type ReadChoice = {
  /** SHA-256 of a keyring, or its first bytes: the line that ends in it is read, whatever speaks for it. */
  readonly keyring?: Uint8Array;
};

/** Something that is not as it should be and did not stop the reading. */
export type ReadProblem = { readonly problem: string; readonly ordinal?: Ordinal; readonly cause?: unknown };
