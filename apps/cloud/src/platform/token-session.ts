import { Semaphore } from '@holdfast/base';
import { loadTokenModule, tokenErrors, type TokenModule } from './pkcs11-calls.ts';
import type { ReadKmsSecret } from './kms-secret.ts';

/** Where a token is. */
export type TokenPlace = {
  readonly modulePath: string;
  readonly tokenLabel: string;
  /** Reads its PIN, each time it is opened. */
  readonly readPin: ReadKmsSecret;
};

const OK = 0;
/** Names of pkcs11t.h. */
const CKR = {
  pinIncorrect: 0xa0,
  pinInvalid: 0xa1,
  pinLenRange: 0xa2,
  pinExpired: 0xa3,
  pinLocked: 0xa4,
  userAlreadyLoggedIn: 0x100,
  cryptokiAlreadyInitialized: 0x191,
} as const;
const PIN_REFUSED: readonly number[] = [
  CKR.pinIncorrect,
  CKR.pinInvalid,
  CKR.pinLenRange,
  CKR.pinExpired,
  CKR.pinLocked,
];
/** What says that the session, the login or the token is gone, and not that the call was wrong. */
const LOST: readonly number[] = [
  0x05, // CKR_GENERAL_ERROR
  0x30, // CKR_DEVICE_ERROR
  0x32, // CKR_DEVICE_REMOVED
  0x60, // CKR_KEY_HANDLE_INVALID
  // SoftHSM2 answers these for a key that another process is just writing or removing.
  0x62, // CKR_KEY_SIZE_RANGE
  0x63, // CKR_KEY_TYPE_INCONSISTENT
  0x68, // CKR_KEY_FUNCTION_NOT_PERMITTED
  0x70, // CKR_MECHANISM_INVALID
  0x82, // CKR_OBJECT_HANDLE_INVALID
  0xb0, // CKR_SESSION_CLOSED
  0xb3, // CKR_SESSION_HANDLE_INVALID
  // SoftHSM2 answers this to who makes a key while another thread reads or writes (its issue 573); the same call again is taken.
  0xd1, // CKR_TEMPLATE_INCONSISTENT
  0xe0, // CKR_TOKEN_NOT_PRESENT
  0xe1, // CKR_TOKEN_NOT_RECOGNIZED
  0x101, // CKR_USER_NOT_LOGGED_IN
  0x190, // CKR_CRYPTOKI_NOT_INITIALIZED
];
const CKF_OS_LOCKING_OK = 2;
const CKF_RW_SESSION = 2;
const CKF_SERIAL_SESSION = 4;
const CKU_USER = 1;
const LABEL_BYTES = 32;
const TOKEN_INFO_BYTES = 256;
const MAX_SLOTS = 256;

/** A call that did not end well, by the number the module gave. */
class TokenRefusal extends Error {
  readonly result: number;

  constructor(call: string, result: number) {
    super(`${call} answered 0x${result.toString(16)}`);
    this.result = result;
  }
}

/** One call in an open session: as many values as the function takes, the session first. */
export type SessionCalls = {
  readonly session: bigint;
  readonly memory: TokenModule['memory'];
  /** @throws what the session is opened anew for, where it is lost */
  readonly call: (name: Parameters<TokenModule['call']>[0], ...values: readonly (number | bigint)[]) => Promise<void>;
};

/** What the module answered, where a call was refused; undefined for other failures. */
export function tokenAnswerOf(error: unknown): number | undefined {
  return error instanceof TokenRefusal ? error.result : undefined;
}

/**
 * A session with a token, opened when it is first used and again after it was lost.
 *
 * Work is done one after the other. A PIN that was refused is not tried again, since tokens lock after a few.
 */
export class TokenSession {
  readonly #place: TokenPlace;
  readonly #turn = new Semaphore(1);
  #module: TokenModule | undefined;
  #session: bigint | undefined;
  #pinRefused: Error | undefined;

  constructor(place: TokenPlace) {
    this.#place = place;
  }

  /** Runs work in the session; once more in a new one where the session or the token was lost meanwhile. @throws kms_token.* */
  run<T>(work: (calls: SessionCalls) => Promise<T>): Promise<T> {
    return this.#turn.use(async () => {
      try {
        return await this.#tryOnce(work);
      } catch (error) {
        const answer = tokenAnswerOf(error);
        if (answer === undefined || !LOST.includes(answer)) throw declared(error);
        await this.#leave();
        return await this.#tryOnce(work).catch((again: unknown) => {
          throw declared(again);
        });
      } finally {
        this.#module?.memory.clear();
      }
    });
  }

  /** Ends the session. */
  close(): Promise<void> {
    return this.#turn.use(() => this.#leave());
  }

  async #tryOnce<T>(work: (calls: SessionCalls) => Promise<T>): Promise<T> {
    const module = this.#load();
    const session = (this.#session ??= await this.#open(module));
    module.memory.clear();
    return work({ session, memory: module.memory, call: (name, ...values) => expectOk(module, name, values) });
  }

  #load(): TokenModule {
    return (this.#module ??= loadTokenModule(this.#place.modulePath));
  }

  async #leave(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    // Where it is lost already the module says so, which changes nothing.
    if (session !== undefined) await this.#module?.call('C_CloseSession', session);
  }

  async #open(module: TokenModule): Promise<bigint> {
    if (this.#pinRefused) throw this.#pinRefused;
    const { memory } = module;
    // Four functions for locking, none of them given: the system's own.
    const initialized = await module.call('C_Initialize', memory.words(0, 0, 0, 0, CKF_OS_LOCKING_OK, 0));
    if (initialized !== OK && initialized !== CKR.cryptokiAlreadyInitialized)
      throw new TokenRefusal('C_Initialize', initialized);
    const slot = await this.#findSlot(module);
    const out = memory.words(0);
    await expectOk(module, 'C_OpenSession', [slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, 0, 0, out]);
    const session = memory.word(out);
    await this.#logIn(module, session);
    return session;
  }

  async #findSlot(module: TokenModule): Promise<bigint> {
    const { memory } = module;
    const count = memory.words(MAX_SLOTS);
    const slots = memory.room(MAX_SLOTS * 8);
    await expectOk(module, 'C_GetSlotList', [1, slots, count]);
    const info = memory.room(TOKEN_INFO_BYTES);
    for (let index = 0; index < Number(memory.word(count)); index++) {
      const slot = memory.word(slots, index);
      if ((await module.call('C_GetTokenInfo', slot, info)) !== OK) continue;
      // Padded with spaces.
      const label = Buffer.from(memory.read(info, LABEL_BYTES)).toString('utf8').trimEnd();
      if (label === this.#place.tokenLabel) return slot;
    }
    throw tokenErrors.not_found({ tokenLabel: this.#place.tokenLabel });
  }

  async #logIn(module: TokenModule, session: bigint): Promise<void> {
    const pin = await this.#place.readPin();
    if (pin === undefined) throw tokenErrors.no_pin({ field: 'HOLDFAST_KMS_SECRET_FILE' });
    const answer = await module.call('C_Login', session, CKU_USER, module.memory.put(pin), pin.length);
    module.memory.clear();
    if (answer === OK || answer === CKR.userAlreadyLoggedIn) return;
    await module.call('C_CloseSession', session);
    if (!PIN_REFUSED.includes(answer)) throw new TokenRefusal('C_Login', answer);
    const locked = answer === CKR.pinLocked;
    this.#pinRefused = tokenErrors.pin_refused({ tokenLabel: this.#place.tokenLabel, locked });
    throw this.#pinRefused;
  }
}

/** What a caller may be told; answers that mean something to it are told by `work` itself. */
function declared(error: unknown): unknown {
  if (!(error instanceof TokenRefusal)) return error;
  return tokenErrors.failed({ reason: error.message }, error);
}

async function expectOk(
  module: TokenModule,
  name: Parameters<TokenModule['call']>[0],
  values: readonly (number | bigint)[],
): Promise<void> {
  const answer = await module.call(name, ...values);
  if (answer !== OK) throw new TokenRefusal(name, answer);
}
