import { argon2Sync } from 'node:crypto';
import { publicHalf } from '../format/hpke.ts';
import { deriveKey, sha256 } from '../format/sealing.ts';
import { sealHpke } from './write-sealed.ts';
import { f, hmacOf, instant, u32 } from './write-structures.ts';

/** A slot before the ring key is wrapped. */
export type WrittenSlot = {
  readonly slotId: Buffer;
  readonly kind: number;
  readonly slotKey: Buffer;
  readonly parameters?: Buffer;
  /** Where it is not the one of the format. */
  readonly commitment?: Buffer;
};

/** Where a slot is written, and what it wraps. */
export type SlotPlace = { readonly archiveId: Buffer; readonly number: number; readonly ringKey: Buffer };

/** The fields of a slot; `chance` is 32 bytes. */
export function slotBytes(slot: WrittenSlot, { archiveId, number, ringKey }: SlotPlace, chance: Buffer): Buffer {
  const { slotId, kind, slotKey, parameters } = slot;
  const commitment = hmacOf(slotKey, Buffer.from('holdfast v1 slot commitment'), archiveId, slotId);
  const info = Buffer.concat([Buffer.from('holdfast v1 slot'), archiveId, u32(number % 2 ** 32), slotId]);
  return Buffer.concat([
    f('1!', slotId),
    f('2!', kind),
    f('3!', slot.commitment ?? commitment),
    f('4!', sealHpke(publicHalf(slotKey), { info, plain: ringKey, ephemeral: chance })),
    f('5', instant(1)),
    ...(parameters === undefined ? [] : [f('6!', parameters)]),
  ]);
}

/** What working a password out takes: memory in KiB, passes, lanes. */
export type WrittenCost = readonly [memory: number, passes: number, lanes: number];

/** The least that a reader works out. */
export const leastCost: WrittenCost = [19_456, 1, 1];

/** A slot that a password opens, whatever the bounds say of its cost; its salt and id follow from a name. */
export function passwordSlot(archiveId: Buffer, password: string, name: string, cost = leastCost): WrittenSlot {
  const [slotId, salt] = ['slot', 'salt'].map((what) => sha256(Buffer.from(`${what} ${name}`)).subarray(0, 16));
  const [memory, passes, parallelism] = cost;
  const message = Buffer.from(password, 'utf8');
  const secret = argon2Sync('argon2id', { message, nonce: salt!, memory, passes, parallelism, tagLength: 32 });
  const slotKey = deriveKey(secret, Buffer.concat([archiveId, slotId!]), 'holdfast v1 password slot');
  return { slotId: slotId!, kind: 3, slotKey, parameters: passwordParameters(salt!, cost) };
}

/** The parameters of a password slot. */
export function passwordParameters(salt: Buffer, [memory, passes, lanes]: WrittenCost): Buffer {
  return Buffer.concat([f('1!', salt), f('2!', memory), f('3!', passes), f('4!', lanes)]);
}

/** A slot that a custom key opens. */
export function customKeySlot(archiveId: Buffer, key: Buffer, name: string): WrittenSlot {
  const slotId = sha256(Buffer.from(`slot ${name}`)).subarray(0, 16);
  const slotKey = deriveKey(key, Buffer.concat([archiveId, slotId]), 'holdfast v1 custom key slot');
  return { slotId, kind: 4, slotKey };
}

/** A slot for escrow whose layers are noise: no reader of files opens them. */
export function escrowSlot(name: string): WrittenSlot {
  const noise = (what: string) => sha256(Buffer.from(`${what} ${name}`));
  const sealed = Buffer.concat(['a', 'b', 'c', 'd'].map(noise));
  const parameters = Buffer.concat([
    f('1!', noise('outer').subarray(0, 8)),
    f('2!', noise('inner').subarray(0, 8)),
    f('3!', sealed),
  ]);
  return { slotId: noise('slot').subarray(0, 16), kind: 2, slotKey: noise('W'), parameters };
}
