import { argon2 } from 'node:crypto';
import { promisify } from 'node:util';
import { assert, defineErrors, type Random } from '@holdfast/base';
import { encodeParameters, parameterBytes, parameterNumber, parseParameters } from './slot-parameters.ts';
import {
  deriveWrappingKey,
  type OpenedSlot,
  openSlotWithKey,
  type PreparedSlot,
  prepareSlot,
  type Slot,
  slotErrors,
  type SlotPlace,
} from './slots.ts';

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

/** Tries one password on many slots; what was worked out once is not worked out again. */
export type PasswordOpener = {
  /**
   * Opens a slot; undefined when the password is another slot's or it is of another kind.
   *
   * @throws slot.bad_parameters, slot.corrupt, archive_password.no_memory, archive_password.too_many_slots
   */
  readonly open: (slot: Slot, place: SlotPlace) => Promise<OpenedSlot | undefined>;
};

const leastCharacters = 12;
const mostBytes = 1_024;
/** Different salts and costs that one password is tried with. A slot keeps its own in every keyring. */
const mostDerivations = 16;
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
  return prepareSlot(archiveId, slot, deriveWrappingKey({ archiveId, slotId }, secret, label));
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
 * Takes a password to try. Bounds are checked before any work, and at most 16 different slots are worked out, so
 * forged keyrings cost a bounded time. Whoever has keyrings that nobody could forge tries their slots first.
 *
 * @throws archive_password.too_long, archive_password.not_text
 */
export function createPasswordOpener(password: string): PasswordOpener {
  messageOf(password).fill(0);
  const stretched = new Map<string, Promise<Uint8Array>>();
  const secretFor = (parameters: PasswordParameters) => {
    const { salt, memoryKibibytes, passes, lanes } = parameters;
    const name = `${salt.toHex()} ${memoryKibibytes} ${passes} ${lanes}`;
    if (!stretched.has(name) && stretched.size >= mostDerivations)
      throw archivePasswordErrors.too_many_slots({ tried: mostDerivations });
    return stretched.getOrInsertComputed(name, () => stretch(password, parameters));
  };
  const open = async (slot: Slot, place: SlotPlace) => {
    if (slot.kind !== passwordSlotKind) return undefined;
    const secret = await secretFor(parsePasswordParameters(slot));
    return openSlotWithKey(slot, place, deriveWrappingKey({ ...place, slotId: slot.slotId }, secret, label));
  };
  return { open };
}

/** Argon2id (RFC 9106, version 0x13), 32 bytes. */
async function stretch(password: string, parameters: PasswordParameters): Promise<Uint8Array> {
  const { salt, memoryKibibytes: memory, passes, lanes: parallelism } = parameters;
  const message = messageOf(password);
  try {
    const derived = await workOut('argon2id', { message, nonce: salt, memory, passes, parallelism, tagLength: 32 });
    assert(derived.length === 32, 'as many bytes come back as were asked for');
    return derived;
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
