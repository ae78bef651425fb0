import { createHash } from 'node:crypto';
import { assert, defineErrors } from '@holdfast/base';

/** Failures of reading a key file. `details` hold line numbers, never what the lines say. */
export const keyFileErrors = defineErrors('key_file', {
  malformed: ['invalid', 'The file is not a Holdfast key file'],
  damaged: ['invalid', 'The key file is damaged: its check line does not fit'],
});

/** One epoch of an archive's keys. */
export type EpochKey = {
  /** From 0; rises by one with each epoch. */
  readonly epoch: number;
  /** Which algorithms the key is for; 1 is the only one so far. */
  readonly suite: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
};

/** Everything that opens an archive up to the newest epoch named, and nothing later. */
export type KeyFile = { readonly archiveId: Uint8Array; readonly epochs: readonly EpochKey[] };

/** Writes the key file of `key export` (format document, section 5). Whoever holds it reads the archive. */
export function formatKeyFile(file: KeyFile): string {
  assert(file.archiveId.length === 16 && isRising(file.epochs), 'a key file names an archive and rising epochs');
  for (const { key } of file.epochs) assert(key.length === 32, 'an epoch key has 32 bytes');
  const epochs = file.epochs.map(({ epoch, suite, key }) => `epoch ${epoch} ${suite} ${key.toHex()}\n`);
  const body = `holdfast-key-v1\narchive ${file.archiveId.toHex()}\n${epochs.join('')}`;
  return `${body}check ${checkOf(body)}\n`;
}

/**
 * Reads a key file in its one spelling.
 *
 * @throws key_file.malformed with the number of the first wrong line, key_file.damaged when only the check is wrong.
 */
export function parseKeyFile(text: string): KeyFile {
  const lines = text.split('\n');
  const shapes = [/^holdfast-key-v1$/, /^archive ([0-9a-f]{32})$/];
  const epochShape = /^epoch (0|[1-9]\d{0,4}) ([1-9]\d{0,4}) ([0-9a-f]{64})$/;
  const found = lines.map((line, index) => (shapes[index] ?? epochShape).exec(line));
  if (lines.at(-1) !== '') throw keyFileErrors.malformed({ line: lines.length });
  const last = lines.length - 2;
  const wrong = found.slice(0, last).findIndex((match) => !match);
  if (wrong >= 0 || last < 3) throw keyFileErrors.malformed({ line: (wrong >= 0 ? wrong : Math.max(last, 0)) + 1 });
  const check = /^check ([0-9a-f]{16})$/.exec(lines[last]!)?.[1];
  if (!check) throw keyFileErrors.malformed({ line: last + 1 });
  const body = `${lines.slice(0, last).join('\n')}\n`;
  if (checkOf(body) !== check) throw keyFileErrors.damaged();
  const epochs = found.slice(2, last).map((match) => {
    const [, epoch, suite, key] = match!;
    return { epoch: Number(epoch), suite: Number(suite), key: Uint8Array.fromHex(key!) };
  });
  if (!isRising(epochs)) throw keyFileErrors.malformed({ line: 3 });
  return { archiveId: Uint8Array.fromHex(found[1]![1]!), epochs };
}

function isRising(epochs: readonly EpochKey[]): boolean {
  return epochs.length > 0 && epochs.every(({ epoch }, index) => index === 0 || epoch > epochs[index - 1]!.epoch);
}

function checkOf(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 16);
}
