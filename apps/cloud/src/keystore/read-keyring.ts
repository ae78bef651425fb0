import {
  parseKeyring,
  RecordKind,
  recordLengthOf,
  slotKinds,
  splitRecord,
  type Keyring,
  type KeyringSlot,
} from '@holdfast/archive/keyring';
import { parseEscrowParameters } from '@holdfast/trust';
import { keystoreErrors } from './errors.ts';

/** The open part of a whole keyring record that anybody may have made. @throws keystore.bad_keyring */
export function readKeyring(record: Uint8Array): Keyring {
  try {
    const { header, open } = splitRecord(record);
    if (header.kind === RecordKind.keyring && recordLengthOf(header) === record.length) return parseKeyring(open);
  } catch (error) {
    throw keystoreErrors.bad_keyring({}, error);
  }
  throw keystoreErrors.bad_keyring();
}

/** The escrow slot of a keyring by its id (16 bytes). @throws keystore.no_escrow_slot */
export function expectEscrowSlot({ slots }: Keyring, slotId: Uint8Array): KeyringSlot {
  const slot = slots.find((one) => Buffer.compare(one.slotId, slotId) === 0);
  if (slot?.kind !== slotKinds.escrow)
    throw keystoreErrors.no_escrow_slot({ slotId: Buffer.from(slotId).toString('hex') });
  return slot;
}

/** To which keystore key the escrow slot of a keyring is sealed (`hpkeKeyId`, hex). @throws keystore.bad_keyring, keystore.no_escrow_slot, slot.bad_parameters */
export function innerKeyIdOf({
  keyring,
  slotId,
}: {
  readonly keyring: Uint8Array;
  readonly slotId: Uint8Array;
}): string {
  const slot = expectEscrowSlot(readKeyring(keyring), slotId);
  return parseEscrowParameters(slot).innerKeyId.toHex();
}
