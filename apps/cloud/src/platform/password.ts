import { argon2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Semaphore, systemRandom, type Random } from '@holdfast/base';
import { requestErrors } from '@holdfast/contract';

/** Argon2id as OWASP recommends it: 19 MiB, two passes, one lane. */
const PARAMETERS = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const;
/** Hashes computed at once: each takes 19 MiB and a core for tens of milliseconds. */
const AT_ONCE = 2;
/** Callers that may wait; further ones are told to come back, so that a flood takes no memory. */
const WAITING = 100;

const hashWith = promisify(argon2);
const running = new Semaphore(AT_ONCE);
let waiting = 0;

/** Hashes a password with a fresh salt, in the PHC string format. @throws request.overloaded */
export async function hashPassword(password: string, random: Random = systemRandom): Promise<string> {
  const salt = random(16);
  const { memory, passes, parallelism } = PARAMETERS;
  const tag = await compute(password, salt);
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`;
}

/**
 * Whether the password is the one of the hash; false without a hash, after the same work as with one.
 *
 * @throws request.overloaded
 */
export async function verifyPassword(hash: string | null | undefined, password: string): Promise<boolean> {
  const [, scheme, , , salt = '', tag = ''] = (hash ?? '').split('$');
  const isOurs = scheme === 'argon2id' && tag !== '';
  const expected = isOurs ? Buffer.from(tag, 'base64') : Buffer.alloc(PARAMETERS.tagLength);
  const computed = await compute(password, isOurs ? Buffer.from(salt, 'base64') : Buffer.alloc(16));
  return timingSafeEqual(computed, expected) && isOurs;
}

/** Refuses while no password could be checked; costs nothing, so it comes before all that does. @throws request.overloaded */
export function refuseWhenCrowded(): void {
  if (waiting >= WAITING) throw requestErrors.overloaded({ retryAfterSeconds: 5 });
}

async function compute(password: string, salt: Uint8Array): Promise<Buffer> {
  refuseWhenCrowded();
  waiting++;
  try {
    const message = Buffer.from(password.normalize('NFKC'), 'utf8');
    return await running.use(() => hashWith('argon2id', { message, nonce: salt, ...PARAMETERS }));
  } finally {
    waiting--;
  }
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}
