import { hkdfParameters, type WebKey } from './derive-web.ts';
import { sealErrors } from './errors.ts';
import { derivationBlocks, doubleBlock, tagBytes, type XaesOpener } from './xaes.ts';

/**
 * XAES-256-GCM by WebCrypto alone, for browsers. The 32-byte key never leaves WebCrypto; the key derived for one
 * message passes through memory.
 *
 * WebCrypto offers no bare AES. The first block that AES-CBC gives is the encryption of (message block xor IV), which
 * is all that is needed; the block of padding behind it is thrown away.
 */

/** Opens under a raw 32-byte key. */
export async function importXaesKey(key: Uint8Array<ArrayBuffer>): Promise<XaesOpener> {
  return createOpener(await crypto.subtle.importKey('raw', key, 'AES-CBC', false, ['encrypt']));
}

/** Opens under HKDF(secret, salt, label), which never exists outside WebCrypto. */
export async function deriveXaesKey(secret: WebKey, salt: Uint8Array<ArrayBuffer>, label: string): Promise<XaesOpener> {
  const algorithm = { name: 'AES-CBC', length: 256 };
  return createOpener(
    await crypto.subtle.deriveKey(hkdfParameters(salt, label), secret, algorithm, false, ['encrypt']),
  );
}

async function createOpener(key: WebKey): Promise<XaesOpener> {
  const k1 = doubleBlock(await firstBlock(key, new Uint8Array(16), new Uint8Array(16)));
  return {
    open: async (nonce, sealed, associated) => {
      const blocks = derivationBlocks(nonce);
      if (sealed.length < tagBytes) throw sealErrors.not_authentic({ sealedBytes: sealed.length });
      const halves = await Promise.all(blocks.map((block) => firstBlock(key, k1, block)));
      const derived = new Uint8Array(32);
      derived.set(halves[0]!);
      derived.set(halves[1]!, 16);
      const messageKey = await crypto.subtle.importKey('raw', derived, 'AES-GCM', false, ['decrypt']);
      const parameters = { name: 'AES-GCM', iv: nonce.subarray(12), additionalData: associated, tagLength: 128 };
      return new Uint8Array(await decrypt(parameters, messageKey, sealed));
    },
  };
}

async function firstBlock(
  key: WebKey,
  iv: Uint8Array<ArrayBuffer>,
  block: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-CBC', iv }, key, block), 0, 16);
}

async function decrypt(
  parameters: Parameters<typeof crypto.subtle.decrypt>[0],
  key: WebKey,
  sealed: Uint8Array<ArrayBuffer>,
): Promise<ArrayBuffer> {
  try {
    return await crypto.subtle.decrypt(parameters, key, sealed);
  } catch (error) {
    throw sealErrors.not_authentic({ sealedBytes: sealed.length }, error);
  }
}
