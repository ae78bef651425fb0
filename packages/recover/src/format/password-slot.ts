import { argon2Sync } from 'node:crypto';
import { availableMemory } from 'node:process';
import { corrupt, RecoverError, systemCode } from '../errors.ts';
import { field, readFields } from './fields.ts';

/** What a password slot says about working its password out (§5). */
export type PasswordCost = {
  readonly salt: Buffer;
  readonly memoryKibibytes: number;
  readonly passes: number;
  readonly lanes: number;
};

/** Least and most that is worked out, whatever a slot asks for. */
const bounds = { memory: [19_456, 1_048_576], passes: [1, 10], lanes: [1, 4] } as const;

/**
 * Reads the parameters of a password slot.
 *
 * @throws structure.corrupt, also where they ask for less or more than the format allows.
 */
export function readPasswordCost(parameters: Buffer | undefined): PasswordCost {
  const fields = readFields(parameters ?? Buffer.alloc(0), 'password slot', {
    1: field('salt', '!'),
    2: field('memory', '!'),
    3: field('passes', '!'),
    4: field('lanes', '!'),
  });
  const within = (tag: number, [least, most]: readonly [number, number]): number => {
    const number = fields.count(tag);
    if (number >= least && number <= most) return number;
    throw corrupt('password slot', `field ${tag} is ${number}, not ${least} to ${most}`);
  };
  return {
    salt: fields.fixed(1, 16),
    memoryKibibytes: within(2, bounds.memory),
    passes: within(3, bounds.passes),
    lanes: within(4, bounds.lanes),
  };
}

/**
 * Argon2id (RFC 9106, version 0x13), 32 bytes. Takes as long and as much memory as the cost says.
 *
 * @throws secret.too_costly when there is not that much memory.
 */
export function workOut(password: Buffer, cost: PasswordCost): Buffer {
  const { salt: nonce, memoryKibibytes: memory, passes, lanes: parallelism } = cost;
  const memoryMebibytes = Math.ceil(memory / 1024);
  if (memory * 1024 > availableMemory()) throw new RecoverError('secret.too_costly', { memoryMebibytes });
  try {
    return argon2Sync('argon2id', { message: password, nonce, memory, passes, parallelism, tagLength: 32 });
  } catch (cause) {
    if (systemCode(cause) !== 'ERR_OSSL_CRYPTO_MALLOC_FAILURE') throw cause;
    throw new RecoverError('secret.too_costly', { memoryMebibytes }, { cause });
  }
}
