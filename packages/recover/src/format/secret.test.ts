import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecoverError } from '../errors.ts';
import { ArchiveWriter } from '../testing/write-archive.ts';
import { readKeyFile, readRecoveryCode } from './secret.ts';
import { sha256 } from './sealing.ts';

const writer = new ArchiveWriter();
writer.addEpoch();

function checked(text: string): string {
  return `${text}check ${sha256(Buffer.from(text)).toString('hex').slice(0, 16)}\n`;
}

test('a key file gives its archive and epochs back', () => {
  for (const text of [writer.keyFile, writer.keyFile.trimEnd()]) {
    const key = readKeyFile(text);
    assert.deepEqual([...key.epochs], [...writer.epochs]);
    assert.deepEqual(key.archiveId, writer.archiveId);
  }
});

test('a key file that is changed anywhere is refused', () => {
  const text = writer.keyFile;
  for (let at = 0; at < text.length - 1; at += 1) {
    const changed = text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1);
    assert.throws(() => readKeyFile(changed), RecoverError);
  }
  const [first, archive, zero, one] = text.split('\n');
  const bad = [
    `${first}\n${archive}\n`,
    `${first}\n${archive}\n${one}\n${zero}\n`,
    `${archive}\n${zero}\n`,
    `${first}\n${zero}\n`,
    '',
  ];
  for (const lines of bad) assert.throws(() => readKeyFile(checked(lines)), RecoverError);
  assert.equal(readKeyFile(checked(`${first}\n${archive}\n${one}\n`)).epochs.size, 1);
});

test('a recovery code is read whatever its case and spacing, and refused with a wrong word', () => {
  const words = writer.recoveryCode.split(' ');
  for (const code of [words.join(' '), `  ${words.join('\n').toUpperCase()}\n`])
    assert.deepEqual(readRecoveryCode(code), writer.entropy);
  const swapped = [words[1], words[0], ...words.slice(2)].join(' ');
  for (const code of [words.slice(1).join(' '), swapped, ['wrongword', ...words.slice(1)].join(' '), '']) {
    assert.throws(
      () => readRecoveryCode(code),
      (error) => error instanceof RecoverError && error.code === 'secret.invalid',
    );
  }
});
