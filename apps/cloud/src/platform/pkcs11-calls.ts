import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { defineErrors } from '@holdfast/base';

/** Failures of a token. */
export const tokenErrors = defineErrors('kms_token', {
  unsupported: ['invalid', 'Tokens are used on 64-bit systems other than Windows'],
  no_module: ['unavailable', 'The module of the token cannot be loaded'],
  not_found: ['unavailable', 'No token of this label is there'],
  no_pin: ['invalid', 'The PIN of the token was not given'],
  pin_refused: ['forbidden', 'The token does not take the PIN'],
  failed: ['unavailable', 'The token refused a call'],
  weak_key: ['forbidden', 'A key of the token can be taken out of it, or could be once'],
  too_large: ['invalid', 'A secret is too large for the token'],
});

/** The functions in use: their place in CK_FUNCTION_LIST (PKCS #11 v2.40, pkcs11f.h) and how many arguments they take. */
const functions = {
  C_Initialize: [0, 1],
  C_GetSlotList: [4, 3],
  C_GetTokenInfo: [6, 2],
  C_OpenSession: [12, 5],
  C_CloseSession: [13, 1],
  C_CloseAllSessions: [14, 1],
  C_Login: [18, 4],
  C_DestroyObject: [22, 2],
  C_GetAttributeValue: [24, 4],
  C_FindObjectsInit: [26, 3],
  C_FindObjects: [27, 4],
  C_FindObjectsFinal: [28, 1],
  C_EncryptInit: [29, 3],
  C_Encrypt: [30, 5],
  C_DecryptInit: [33, 3],
  C_Decrypt: [34, 5],
  C_GenerateKey: [58, 5],
} as const;
type FunctionName = keyof typeof functions;

/** A number or an address. */
type Word = number | bigint;
type Bound = { async(...values: [...Word[], (error: unknown, result: number) => void]): void };

/** CK_FUNCTION_LIST begins with CK_VERSION, padded to the size of a pointer. */
const LIST_HEAD_BYTES = 8;
const WORD_BYTES = 8;
const MEMORY_BYTES = 64 * 1024;

/** The memory that calls read and write. Its bytes stay where they are, so addresses of them stay right while a call runs. */
export class CallMemory {
  readonly #bytes = new Uint8Array(new ArrayBuffer(MEMORY_BYTES));
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #address: bigint;
  #used = 0;

  constructor(addressOf: (bytes: Uint8Array) => bigint) {
    this.#address = addressOf(this.#bytes);
  }

  /** Room for bytes, zeroed. @throws kms_token.too_large */
  room(size: number): bigint {
    const at = Math.ceil(this.#used / WORD_BYTES) * WORD_BYTES;
    if (at + size > MEMORY_BYTES) throw tokenErrors.too_large({ field: 'secret' });
    this.#used = at + size;
    return this.#address + BigInt(at);
  }

  /** Bytes as they are. */
  put(bytes: Uint8Array): bigint {
    const address = this.room(bytes.length);
    this.#bytes.set(bytes, this.#offset(address));
    return address;
  }

  /** Numbers and addresses, one after the other: most structures of PKCS #11 are nothing else. */
  words(...values: readonly Word[]): bigint {
    const address = this.room(values.length * WORD_BYTES);
    for (const [index, value] of values.entries())
      this.#view.setBigUint64(this.#offset(address) + index * WORD_BYTES, BigInt(value), true);
    return address;
  }

  /** A number that a call wrote. */
  word(address: bigint, index = 0): bigint {
    return this.#view.getBigUint64(this.#offset(address) + index * WORD_BYTES, true);
  }

  /** A copy of what a call wrote. */
  read(address: bigint, size: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(this.#offset(address), this.#offset(address) + size);
  }

  /** Overwrites all that was put, and begins anew. */
  clear(): void {
    this.#bytes.fill(0, 0, this.#used);
    this.#used = 0;
  }

  #offset(address: bigint): number {
    return Number(address - this.#address);
  }
}

/** A module of a maker of tokens, loaded: calls of one caller at a time. */
export type TokenModule = {
  readonly memory: CallMemory;
  /** Makes a call on a thread of its own, so that a slow token holds nothing up; returns its CK_RV, 0 when all is well. */
  call(name: FunctionName, ...values: readonly Word[]): Promise<number>;
};

type LoadedModule = {
  readonly koffi: typeof Koffi;
  readonly calls: ReadonlyMap<FunctionName, Bound>;
  /** Held on to: without it the code is unloaded under the calls. */
  readonly library: unknown;
};

/** A module is initialized once for a process, and its code stays until that ends. */
const loaded = new Map<string, LoadedModule>();

/**
 * Loads a module. Its libraries are looked up in itself before they are in Node, which has an OpenSSL of its own.
 *
 * @throws kms_token.no_module, kms_token.unsupported
 */
export function loadTokenModule(modulePath: string): TokenModule {
  const { koffi, calls } = loaded.get(modulePath) ?? load(modulePath);
  return {
    memory: new CallMemory((bytes) => koffi.address(bytes)),
    call: (name, ...values) =>
      new Promise((resolve, reject) => {
        calls.get(name)!.async(...values, (error, result) => {
          if (error) reject(error);
          else resolve(result);
        });
      }),
  };
}

function load(modulePath: string): LoadedModule {
  if (process.platform === 'win32' || !['x64', 'arm64'].includes(process.arch)) throw tokenErrors.unsupported();
  const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
  try {
    const library = koffi.load(modulePath, { deep: true });
    const module = { koffi, library, calls: bindAll(koffi, library) };
    loaded.set(modulePath, module);
    return module;
  } catch (error) {
    throw tokenErrors.no_module({ modulePath, reason: (error as Error).message }, error);
  }
}

/** The functions of a module, from the list that it gives of them: many modules export nothing else. */
function bindAll(koffi: typeof Koffi, library: Koffi.LibraryHandle): ReadonlyMap<FunctionName, Bound> {
  const out: (bigint | null)[] = [null];
  const result = Number(library.func('unsigned long C_GetFunctionList(_Out_ void **list)')(out));
  const [list] = out;
  if (result !== 0 || !list) throw new Error(`C_GetFunctionList answered ${result}`);
  const calls = new Map<FunctionName, Bound>();
  for (const [name, [place, count]] of Object.entries(functions)) {
    const address = koffi.decode(list, LIST_HEAD_BYTES + place * WORD_BYTES, 'void *') as bigint;
    const words = Array.from({ length: count }, () => 'uint64_t');
    calls.set(name as FunctionName, koffi.decode(address, koffi.proto('unsigned long', words)) as Bound);
  }
  return calls;
}
