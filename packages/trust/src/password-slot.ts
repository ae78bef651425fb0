import { argon2 } from 'node:crypto';
import { promisify } from 'node:util';
import { assert, defineErrors, type Random } from '@holdfast/base';
import { slotErrors } from './slot-errors.ts';
import { encodeParameters, parameterBytes, parameterNumber, parseParameters } from './slot-parameters.ts';
import { deriveSlotKey, openDerivedSlot, type PreparedSlot, prepareSlot, type Slot, type SlotPlace } from './slots.ts';

/** Failures of archive key passwords. That one does not fit a slot is not one of them: it is an answer. */
export const archivePasswordErrors = defineErrors('archive_password', {
  too_short: ['invalid', 'A new archive key password has at least 12 characters'],
  too_long: ['invalid', 'An archive key password has 1 to 1,024 bytes of UTF-8'],
  not_text: ['invalid', 'The archive key password holds half a character'],
  no_memory: ['exhausted', 'There is not enough memory to work the archive key password out'],
  too_many_slots: ['exhausted', 'There are more different password slots than are tried with one password'],
});

/** The format's number for a slot that a password opens. */
export const passwordSlotKind = 3;

/** What working a password out takes: RFC 9106's m, t and p. */
export type PasswordCost = {
  /** m, in KiB. */
  readonly memoryKibibytes: number;
  /** t. */
  readonly passes: number;
  /** p; more of them saved next to no time where it was measured. */
  readonly lanes: number;
};

/**
 * Least and most that a slot may ask for, whoever made it: less would give the password away, and more would let a
 * forged slot hold a reader up.
 */
export const passwordCostBounds = { memoryKibibytes: [19_456, 1_048_576], passes: [1, 10], lanes: [1, 4] } as const;

/** What new slots ask for: 256 MiB, three passes, one lane, which took 1.1 s of one core (ADR 0019). */
export const defaultPasswordCost: PasswordCost = { memoryKibibytes: 262_144, passes: 3, lanes: 1 };

/** What the parameters of a password slot say. */
export type PasswordParameters = PasswordCost & {
  /** 16 random bytes. */
  readonly salt: Uint8Array;
};

/** How much work a slot may cause: all within the bounds, or none that was not done before. */
export type SlotEffort = 'any' | 'none';

/** Tries one password on many slots, one after the other; what was worked out once is not worked out again. */
export type PasswordOpener = {
  /**
   * The ring key of a slot; undefined when the password is another slot's or it is of another kind.
   *
   * @throws slot.bad_parameters, slot.corrupt, archive_password.no_memory, archive_password.too_many_slots
   */
  readonly open: (slot: Slot, place: SlotPlace, effort?: SlotEffort) => Promise<Uint8Array | undefined>;
  /** Overwrites what was worked out; nothing opens afterwards, nor what is being opened. */
  readonly close: () => void;
};

const leastCharacters = 12;
const mostBytes = 1_024;
/** Different salts and costs that one password is tried with, unless more are asked for. A slot keeps its own in every keyring. */
const standardTries = 16;
/** KiB times passes that so many tries of one password is worked out for: four slots of the greatest cost, or any 16 of the default one. */
const mostKibibytePasses = 4 * passwordCostBounds.memoryKibibytes[1] * passwordCostBounds.passes[1];
const label = 'holdfast v1 password slot';
const workOut = promisify(argon2);

/**
 * Makes the slot that a password opens. Takes as long as opening it.
 *
 * @throws archive_password.too_short, archive_password.too_long, archive_password.not_text, archive_password.no_memory
 */
export async function preparePasswordSlot(
  archiveId: Uint8Array,
  password: string,
  random: Random,
  cost: PasswordCost = defaultPasswordCost,
): Promise<PreparedSlot> {
  messageOf(password).fill(0);
  const characters = Array.from(password.normalize('NFC')).length;
  if (characters < leastCharacters) throw archivePasswordErrors.too_short({ characters, least: leastCharacters });
  const [slotId, salt] = [random(16), random(16)];
  const parameters = encodeParameters([salt, cost.memoryKibibytes, cost.passes, cost.lanes]);
  const slot = { slotId, kind: passwordSlotKind, parameters };
  const secret = await stretch(password, parsePasswordParameters(slot));
  const slotKey = deriveSlotKey({ archiveId, slotId }, secret, label);
  secret.fill(0);
  return prepareSlot(archiveId, slot, slotKey);
}

/** Reads the parameters of a password slot, within their bounds. @throws slot.bad_parameters */
export function parsePasswordParameters({ kind, parameters }: Pick<Slot, 'kind' | 'parameters'>): PasswordParameters {
  if (kind !== passwordSlotKind) throw slotErrors.bad_parameters({ kind });
  const [salt, memory, passes, lanes] = parseParameters(parameters, 4);
  return {
    salt: parameterBytes(salt!, 16),
    memoryKibibytes: parameterNumber(memory!, passwordCostBounds.memoryKibibytes),
    passes: parameterNumber(passes!, passwordCostBounds.passes),
    lanes: parameterNumber(lanes!, passwordCostBounds.lanes),
  };
}

/**
 * Takes a password to try. Bounds are checked before any work: at most 16 different slots are worked out, one at a time,
 * which together cost no more than four of the greatest cost, so forged keyrings cost a bounded time. With more tries
 * they may cost so many times more.
 *
 * @throws archive_password.too_long, archive_password.not_text
 */
export function createPasswordOpener(password: string, mostTries: number = standardTries): PasswordOpener {
  assert(Number.isSafeInteger(mostTries) && mostTries > 0, 'at least one slot is tried');
  messageOf(password).fill(0);
  const stretched = createStretcher(password, mostTries);
  const open: PasswordOpener['open'] = async (slot, place, effort = 'any') => {
    if (slot.kind !== passwordSlotKind) return undefined;
    const secret = await stretched.secretFor(parsePasswordParameters(slot), effort);
    stretched.expectOpen();
    return openDerivedSlot(slot, place, { secret, label });
  };
  return { open, close: stretched.close };
}

/** What a password was worked out to, by salt and cost. */
function createStretcher(password: string, mostTries: number) {
  const mostCost = mostKibibytePasses * Math.max(1, mostTries / standardTries);
  const known = new Map<string, { readonly secret: Promise<Uint8Array>; readonly kibibytePasses: number }>();
  let last: Promise<unknown> = Promise.resolve();
  let isClosed = false;
  const expectOpen = (): void => assert(!isClosed, 'the opener was not closed');
  const begin = (parameters: PasswordParameters) => {
    const before = last;
    const secret = (async () => {
      await before.catch(() => undefined);
      expectOpen();
      return stretch(password, parameters);
    })();
    last = secret;
    return secret;
  };
  const secretFor = (parameters: PasswordParameters, effort: SlotEffort): Promise<Uint8Array> => {
    expectOpen();
    const { salt, memoryKibibytes, passes, lanes } = parameters;
    const name = `${salt.toHex()} ${memoryKibibytes} ${passes} ${lanes}`;
    const found = known.get(name);
    if (found) return found.secret;
    const kibibytePasses = memoryKibibytes * passes;
    const spent = known.values().reduce((sum, one) => sum + one.kibibytePasses, kibibytePasses);
    if (effort === 'none' || known.size >= mostTries || spent > mostCost)
      throw archivePasswordErrors.too_many_slots({ tried: known.size });
    const secret = begin(parameters);
    known.set(name, { secret, kibibytePasses });
    // What failed, for want of memory, may succeed another time.
    secret.catch(() => known.delete(name));
    return secret;
  };
  const close = () => {
    isClosed = true;
    for (const { secret } of known.values())
      void secret.then(
        (bytes) => bytes.fill(0),
        () => undefined,
      );
    known.clear();
  };
  return { secretFor, expectOpen, close };
}

/** Argon2id (RFC 9106, version 0x13), 32 bytes. */
async function stretch(password: string, parameters: PasswordParameters): Promise<Uint8Array> {
  const { salt, memoryKibibytes: memory, passes, lanes: parallelism } = parameters;
  if (memory * 1_024 > process.availableMemory()) throw archivePasswordErrors.no_memory({ memoryKibibytes: memory });
  const message = messageOf(password);
  try {
    const derived = await workOut('argon2id', { message, nonce: salt, memory, passes, parallelism, tagLength: 32 });
    assert(derived.length === 32, 'as many bytes come back as were asked for');
    const secret = new Uint8Array(derived);
    derived.fill(0);
    return secret;
  } catch (cause) {
    if (!isOutOfMemory(cause)) throw cause;
    throw archivePasswordErrors.no_memory({ memoryKibibytes: memory }, cause);
  } finally {
    message.fill(0);
  }
}

/** The bytes that are worked out: UTF-8 of the normal form NFC, in which a password typed elsewhere is the same. */
function messageOf(password: string): Buffer {
  if (!password.isWellFormed()) throw archivePasswordErrors.not_text();
  const message = Buffer.from(password.normalize('NFC'), 'utf8');
  if (message.length === 0 || message.length > mostBytes)
    throw archivePasswordErrors.too_long({ bytes: message.length, most: mostBytes });
  return message;
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_OSSL_CRYPTO_MALLOC_FAILURE';
}
