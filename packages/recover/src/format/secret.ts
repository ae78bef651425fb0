import { mnemonicToEntropy } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { RecoverError } from '../errors.ts';
import { type Epochs, KNOWN_SUITE } from './ring.ts';
import { sha256 } from './sealing.ts';

/** What opens an archive: the 24 words, the text of a key file or of read keys, an archive key password, or the text of a custom key. */
export type Secret =
  | { readonly recoveryCode: string }
  | { readonly keyFile: string }
  | { readonly readKeys: string }
  | { readonly password: string }
  | { readonly customKey: string };

/** A key file or read keys, read and checked. */
export type KeyFile = { readonly archiveId: Buffer; readonly epochs: Epochs };

/**
 * The 32 bytes behind a recovery code of 24 English BIP-39 words; case and spacing do not matter.
 *
 * @throws secret.invalid naming the words that are not in the list, or that the checksum does not hold.
 */
export function readRecoveryCode(code: string): Buffer {
  const words = code
    .normalize('NFKD')
    .toLowerCase()
    .split(/\s+/u)
    .filter((word) => word !== '');
  if (words.length !== 24)
    throw new RecoverError('secret.invalid', { field: 'recoveryCode', what: `it has ${words.length} words, not 24` });
  const known = new Set(wordlist);
  const positions = words.flatMap((word, index) => (known.has(word) ? [] : [index + 1]));
  if (positions.length > 0)
    throw new RecoverError('secret.invalid', { field: 'recoveryCode', what: 'words not in the list', positions });
  try {
    return Buffer.from(mnemonicToEntropy(words.join(' '), wordlist));
  } catch (cause) {
    throw new RecoverError('secret.invalid', { field: 'recoveryCode', what: 'its checksum does not hold' }, { cause });
  }
}

/**
 * The bytes of an archive key password: UTF-8 in the normal form NFC (§5).
 *
 * @throws secret.invalid
 */
export function readPassword(password: string): Buffer {
  const field = 'password';
  if (!password.isWellFormed()) throw new RecoverError('secret.invalid', { field, what: 'it holds half a character' });
  const bytes = Buffer.from(password.normalize('NFC'), 'utf8');
  if (bytes.length >= 1 && bytes.length <= 1024) return bytes;
  throw new RecoverError('secret.invalid', { field, what: `it has ${bytes.length} bytes, not 1 to 1024` });
}

/**
 * The 32 bytes of a custom key, from 64 hexadecimal digits or 44 characters of base64 (§5).
 *
 * @throws secret.invalid
 */
export function readCustomKey(text: string): Buffer {
  const digits = text.trim();
  if (/^[0-9A-Fa-f]{64}$/.test(digits)) return Buffer.from(digits, 'hex');
  const key = Buffer.from(digits, 'base64');
  // Written again it must be the same: Node's decoder passes over what is no base64.
  if (key.length === 32 && key.toString('base64') === digits) return key;
  throw new RecoverError('secret.invalid', {
    field: 'customKey',
    what: `it has ${digits.length} characters that are neither 64 hexadecimal digits nor 44 of base64`,
  });
}

/** The two files that hold keys of epochs: each says by its first line which it is (§5). */
const kinds = {
  keyFile: { firstLine: 'holdfast-key-v1', epoch: /^epoch (\d{1,5}) (\d{1,5}) ([0-9a-f]{64})$/ },
  readKeys: { firstLine: 'holdfast-read-keys-v1', epoch: /^epoch (\d{1,5}) (\d{1,5}) ([0-9a-f]{64}) ([0-9a-f]{64})$/ },
} as const;
type Kind = keyof typeof kinds;

/**
 * Reads the text of a key file (§5).
 *
 * @throws secret.invalid
 */
export function readKeyFile(text: string): KeyFile {
  return readEpochFile(text, 'keyFile');
}

/**
 * Reads the text of read keys (§5): of each epoch the data key and the metadata key, one behind the other.
 *
 * @throws secret.invalid
 */
export function readReadKeys(text: string): KeyFile {
  return readEpochFile(text, 'readKeys');
}

function readEpochFile(text: string, kind: Kind): KeyFile {
  const invalidKeyFile = (what: string) => new RecoverError('secret.invalid', { field: kind, what });
  const checkAt = text.lastIndexOf('\ncheck ') + 1;
  const check = /^check ([0-9a-f]{16})\n?$/.exec(text.slice(checkAt))?.[1];
  if (checkAt === 0 || check === undefined) throw invalidKeyFile('its check line is missing');
  if (
    sha256(Buffer.from(text.slice(0, checkAt)))
      .toString('hex')
      .slice(0, 16) !== check
  )
    throw invalidKeyFile('its check line does not hold');
  const [first, archiveLine = '', ...epochLines] = text.slice(0, checkAt - 1).split('\n');
  const archive = /^archive ([0-9a-f]{32})$/.exec(archiveLine)?.[1];
  if (first !== kinds[kind].firstLine || archive === undefined)
    throw invalidKeyFile(`its first lines are not those of ${names[kind]}`);
  return { archiveId: Buffer.from(archive, 'hex'), epochs: readEpochLines(epochLines, kind, invalidKeyFile) };
}

const names: Readonly<Record<Kind, string>> = { keyFile: 'a key file', readKeys: 'a file of read keys' };

function readEpochLines(lines: readonly string[], kind: Kind, invalidKeyFile: (what: string) => RecoverError): Epochs {
  const epochs = new Map<number, Buffer>();
  let last = -1;
  for (const line of lines) {
    const parts = kinds[kind].epoch.exec(line);
    if (parts === null || Number(parts[1]) <= last || Number(parts[1]) > 0xffff)
      throw invalidKeyFile('a line is no epoch, or the epochs do not rise');
    last = Number(parts[1]);
    if (parts[2] === String(KNOWN_SUITE)) epochs.set(last, Buffer.from(parts.slice(3).join(''), 'hex'));
  }
  if (epochs.size === 0) throw invalidKeyFile('it holds no epoch of a suite this reader knows');
  return epochs;
}
