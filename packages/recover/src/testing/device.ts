import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { sha256 } from '../format/sealing.ts';

/** A device that writes to a test's archive. */
export type Device = {
  readonly number: number;
  readonly firstCommit: number;
  readonly key: KeyObject;
  readonly publicKey: Buffer;
  /** How it came in; 2 unless said otherwise. */
  readonly origin?: number;
  /** Whether the device before signed for it. */
  readonly introduced?: boolean;
};

/** 32 bytes that follow from a label and a number. */
export const derived = (label: string, index = 0): Buffer => sha256(Buffer.from(`${label} ${index}`));

/** A device whose key follows from its number. */
export function makeDevice(number: number, firstCommit: number): Device {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), derived('device', number)]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  return { number, firstCommit, key, publicKey };
}
