import { timingSafeEqual } from 'node:crypto';
import { defineErrors, type Random } from '@holdfast/base';
import { hpkeBytes, hpkeKeyId, type HpkeKey, openHpke, sealHpke } from './hpke.ts';
import { slotErrors } from './slot-errors.ts';
import { encodeParameters, parameterBytes, parseParameters } from './slot-parameters.ts';
import { isCommitted, type PreparedSlot, prepareSlot, type Slot, slotNameOf } from './slots.ts';

/** Failures of opening a layer of an escrow slot. */
export const escrowErrors = defineErrors('escrow', {
  other_key: ['not_found', 'The slot is sealed to another key than this one'],
  not_opened: ['corrupt', 'The layer does not open: it was altered, or made for another archive or slot'],
  not_committed: ['corrupt', 'What the layer holds is not the slot key of its slot'],
});

/** The format's number for a slot that the tenant's log key and keystore key open together. */
export const escrowSlotKind = 2;

/** The two public keys (X25519, 32 bytes each) that an escrow slot is sealed to. */
export type EscrowKeys = {
  /** Of the tenant's log: whoever holds it records the release before opening the outer layer. */
  readonly logKey: Uint8Array;
  /** Of the tenant's keystore, which alone opens the inner layer. */
  readonly keystoreKey: Uint8Array;
};

/** What the parameters of an escrow slot say. */
export type EscrowParameters = {
  /** `hpkeKeyId` of the log key, 8 bytes. */
  readonly outerKeyId: Uint8Array;
  /** `hpkeKeyId` of the keystore key, 8 bytes. */
  readonly innerKeyId: Uint8Array;
  /** The slot key in its two layers, 128 bytes. */
  readonly sealed: Uint8Array;
};

const innerBytes = 32 + hpkeBytes.overhead;
const sealedBytes = innerBytes + hpkeBytes.overhead;
const labels = { outer: 'holdfast v1 escrow outer', inner: 'holdfast v1 escrow inner' } as const;

/**
 * Makes an escrow slot: a random slot key, sealed to the keystore and, around that, to the log.
 *
 * Its public half goes into the ring, so the next keyring is wrapped for this slot without either key's holder.
 * @throws hpke.bad_public_key
 */
export function prepareEscrowSlot(
  archiveId: Uint8Array,
  { logKey, keystoreKey }: EscrowKeys,
  random: Random,
): PreparedSlot {
  const [slotId, drawn] = [random(16), random(hpkeBytes.key)];
  const slotKey = new Uint8Array(drawn);
  drawn.fill(0);
  const info = (label: keyof typeof labels) => ({ info: infoOf(label, archiveId, slotId) });
  const inner = sealHpke(keystoreKey, info('inner'), slotKey, random);
  const sealed = sealHpke(logKey, info('outer'), inner, random);
  const parameters = encodeParameters([hpkeKeyId(logKey), hpkeKeyId(keystoreKey), sealed]);
  return prepareSlot(archiveId, { slotId, kind: escrowSlotKind, parameters }, slotKey);
}

/** Reads the parameters of an escrow slot. @throws slot.bad_parameters */
export function parseEscrowParameters({ kind, parameters }: Pick<Slot, 'kind' | 'parameters'>): EscrowParameters {
  if (kind !== escrowSlotKind) throw slotErrors.bad_parameters({ kind });
  const [outer, inner, sealed] = parseParameters(parameters, 3);
  return {
    outerKeyId: parameterBytes(outer!, 8),
    innerKeyId: parameterBytes(inner!, 8),
    sealed: parameterBytes(sealed!, sealedBytes),
  };
}

/**
 * Takes the outer layer off: 80 bytes that the keystore key opens and nothing else.
 *
 * @throws slot.bad_parameters, escrow.other_key, escrow.not_opened
 */
export function openEscrowOuter(slot: Slot, archiveId: Uint8Array, logKey: HpkeKey): Uint8Array {
  const { outerKeyId, sealed } = parseEscrowParameters(slot);
  expectKey(outerKeyId, logKey);
  const inner = openHpke(logKey, { info: infoOf('outer', archiveId, slot.slotId) }, sealed);
  if (inner?.length !== innerBytes) throw escrowErrors.not_opened({ layer: 'outer' });
  return inner;
}

/**
 * Takes the inner layer off, which `openEscrowOuter` gave: the slot key (32 bytes), as the slot commits to it.
 *
 * It is in no other array; whoever called overwrites it.
 * @throws slot.bad_parameters, escrow.other_key, escrow.not_opened, escrow.not_committed
 */
export function openEscrowInner(
  slot: Slot,
  archiveId: Uint8Array,
  inner: Uint8Array,
  keystoreKey: HpkeKey,
): Uint8Array {
  expectKey(parseEscrowParameters(slot).innerKeyId, keystoreKey);
  const slotKey = openHpke(keystoreKey, { info: infoOf('inner', archiveId, slot.slotId) }, inner);
  if (slotKey?.length !== 32) throw escrowErrors.not_opened({ layer: 'inner' });
  if (isCommitted(slot, { archiveId }, slotKey)) return slotKey;
  slotKey.fill(0);
  throw escrowErrors.not_committed();
}

function expectKey(keyId: Uint8Array, key: HpkeKey): void {
  const own = hpkeKeyId(key.publicKey);
  if (!timingSafeEqual(own, keyId)) throw escrowErrors.other_key({ keyId: own.toHex(), sealedTo: keyId.toHex() });
}

function infoOf(layer: keyof typeof labels, archiveId: Uint8Array, slotId: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([new TextEncoder().encode(labels[layer]), ...slotNameOf({ archiveId, slotId })]));
}
