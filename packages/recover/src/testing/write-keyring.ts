import { sign } from 'node:crypto';
import { publicHalf } from '../format/hpke.ts';
import { derived, type Device } from './device.ts';
import { slotBytes, type SlotPlace, type WrittenSlot } from './write-slots.ts';
import { f, instant, u16, u64 } from './write-structures.ts';

/** What a keyring says, but for where it stands. */
export type WrittenKeyring = {
  readonly previousHash: Buffer;
  readonly slots: readonly WrittenSlot[];
  readonly devices: readonly Device[];
  readonly epochs: ReadonlyMap<number, Buffer>;
  readonly suites: ReadonlyMap<number, number>;
};

/** The open part of a keyring and the raw bytes of its ring. */
export function keyringBytes(
  place: SlotPlace,
  { previousHash, slots, devices, epochs, suites }: WrittenKeyring,
): { readonly open: Buffer; readonly ring: Buffer } {
  const { number } = place;
  // Of a kind that no reader knows, with fields of other lengths than today's.
  const unknownSlot = Buffer.concat([
    f('1!', derived('x').subarray(0, 16)),
    f('2!', 77),
    f('3!', derived('y').subarray(0, 5)),
    f('4!', Buffer.alloc(73)),
  ]);
  const open = Buffer.concat([
    f('1!', number),
    f('2!', previousHash),
    f('3!', unknownSlot),
    ...slots.map((slot, index) => f('3!', slotBytes(slot, place, derived(`slot chance ${index}`, number)))),
    ...devices.map((_, index) => f('4!', writerBytes(devices, index, place.archiveId))),
    f('5', instant(1)),
  ]);
  const ring = Buffer.concat([
    ...[...epochs].map(([epoch, key]) =>
      f('1!', Buffer.concat([f('1!', epoch), f('2!', suites.get(epoch) ?? 1), f('3!', key)])),
    ),
    ...slots.map((slot) => f('2!', Buffer.concat([f('1!', slot.slotId), f('2!', publicHalf(slot.slotKey))]))),
  ]);
  return { open, ring };
}

function writerBytes(devices: readonly Device[], index: number, archiveId: Buffer): Buffer {
  const { number, publicKey, firstCommit, origin, introduced } = devices[index]!;
  const message = [Buffer.from('holdfast v1 writer'), archiveId, u16(number), publicKey, u64(firstCommit)];
  return Buffer.concat([
    f('1!', number),
    f('2!', publicKey),
    f('3!', firstCommit),
    f('4!', number === 0 ? 1 : (origin ?? 2)),
    ...(introduced === true ? [f('5', sign(null, Buffer.concat(message), devices[index - 1]!.key))] : []),
  ]);
}
