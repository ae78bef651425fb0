import { defineErrors, type Random } from '@holdfast/base';
import { entropyToMnemonic, mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';

/** Failures of reading a recovery code. `details` never hold a word of it, only places, counted from 1. */
export const recoveryCodeErrors = defineErrors('recovery_code', {
  wrong_length: ['invalid', 'A recovery code has 24 words'],
  unknown_word: ['invalid', 'A word of the recovery code is not in its word list'],
  wrong_checksum: ['invalid', 'The words of the recovery code do not belong together: one is wrong or out of order'],
});

const wordCount = 24;
const secretBytes = 32;
const knownWords: ReadonlySet<string> = new Set(wordlist);

/** A new secret of 32 bytes as 24 English words separated by single spaces (BIP-39, no passphrase). */
export function makeRecoveryCode(random: Random): string {
  return entropyToMnemonic(random(secretBytes), wordlist);
}

/**
 * The 32 bytes that a recovery code stands for.
 *
 * Written by hand and typed back: upper and lower case, any spacing, and numbers before the words are all the same.
 * One wrong code in 256 passes its checksum; it then opens no slot.
 * @throws recovery_code.wrong_length, recovery_code.unknown_word (`position`), recovery_code.wrong_checksum
 */
export function parseRecoveryCode(typed: string): Uint8Array {
  const words = typed
    .normalize('NFKD')
    .toLowerCase()
    .split(/[\s\d.,:;)]+/u)
    .filter((word) => word !== '');
  if (words.length !== wordCount) throw recoveryCodeErrors.wrong_length({ words: words.length });
  const unknown = words.flatMap((word, index) => (knownWords.has(word) ? [] : [index + 1]));
  if (unknown.length > 0) throw recoveryCodeErrors.unknown_word({ position: unknown[0], positions: unknown });
  try {
    return mnemonicToEntropy(words.join(' '), wordlist);
  } catch {
    // The library's error is not kept as the cause: what it says is built from the words.
    throw recoveryCodeErrors.wrong_checksum();
  }
}
