import { CodedError } from '@holdfast/base';
import { sealErrors } from '../crypto/errors.ts';
import { hkdfWeb, importHkdfSecret } from '../crypto/derive-web.ts';
import { importXaesKey } from '../crypto/xaes-web.ts';
import type { XaesOpener } from '../crypto/xaes.ts';
import { joinBytes } from '../format/cursor.ts';
import { suiteOne } from '../format/header.ts';
import type { RingEpoch } from '../format/keyring.ts';
import { keyLabels, keyUseOf } from '../format/keys.ts';
import type { RecordOpeners } from '../format/open.ts';
import type { ReadTools } from './record-source.ts';

/** The key of an epoch, 32 bytes; of the one suite there is where none is named. */
export type EpochKey = Pick<RingEpoch, 'number' | 'key'> & { readonly suite?: number };

/** Keys of one epoch that are tried: rings that somebody forged may name many. */
export const mostKeysOfEpoch = 16;

/** Each key once, in the order given, at most 16 of an epoch; those of a suite that is not known open nothing. */
export function distinctKeys(epochs: Iterable<EpochKey>): EpochKey[] {
  const seen = new Map<number, Set<string>>();
  const kept: EpochKey[] = [];
  for (const epoch of epochs) {
    const ofNumber = seen.get(epoch.number) ?? new Set();
    seen.set(epoch.number, ofNumber);
    const name = epoch.key.toHex();
    if ((epoch.suite ?? suiteOne) !== suiteOne || ofNumber.has(name) || ofNumber.size >= mostKeysOfEpoch) continue;
    ofNumber.add(name);
    kept.push(epoch);
  }
  return kept;
}

/** Keys of epochs as record openers, derived by WebCrypto; of several of one epoch the one that opens a record does. */
export async function openersOf(
  archiveId: Uint8Array,
  epochs: readonly EpochKey[],
  tools: ReadTools,
): Promise<RecordOpeners> {
  const openers = new Map<string, XaesOpener[]>();
  for (const { number, key } of distinctKeys(epochs)) {
    const secret = await importHkdfSecret(joinBytes(key));
    for (const use of ['data', 'metadata'] as const) {
      const derived = await hkdfWeb(secret, joinBytes(archiveId), keyLabels[use]);
      const name = `${use} ${number}`;
      openers.set(name, [...(openers.get(name) ?? []), await openerFor(derived, tools)]);
    }
  }
  const joined = new Map([...openers].map(([name, all]) => [name, all.length === 1 ? all[0]! : anyOf(all)]));
  return { archiveId, openerOf: (kind, epoch) => joined.get(`${keyUseOf(kind)} ${epoch}`) };
}

/** Opens records under a 32-byte key. */
export function openerFor(key: Uint8Array<ArrayBuffer>, tools: ReadTools): XaesOpener | Promise<XaesOpener> {
  return tools.createOpener === undefined ? importXaesKey(key) : tools.createOpener(key);
}

function anyOf(openers: readonly XaesOpener[]): XaesOpener {
  return {
    open: async (nonce, sealed, associated) => {
      let failure: unknown;
      for (const opener of openers)
        try {
          return await opener.open(nonce, sealed, associated);
        } catch (error) {
          if (!(error instanceof CodedError) || error.code !== sealErrors.not_authentic.code) throw error;
          failure = error;
        }
      throw failure;
    },
  };
}
