import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { readPassword, type SecretInput } from './read-secret.ts';

const words = { ask: 'New: ', again: 'Again: ' };

/** A terminal on which these keys are pressed; it says whether it shows them. */
function terminal(...chunks: readonly (string | Buffer)[]) {
  const modes: boolean[] = [];
  const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const input: SecretInput = Object.assign(stream, { isTTY: true, setRawMode: (isRaw: boolean) => modes.push(isRaw) });
  return { input, modes };
}

const pipe = (...chunks: readonly (string | Buffer)[]): SecretInput =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

async function outcome(input: SecretInput, asked: Parameters<typeof readPassword>[0] = words) {
  let shown = '';
  const prompt = { write: (text: string) => (shown += text) };
  const read = await readPassword(asked, input, prompt).catch((error: unknown) => {
    assert.ok(error instanceof CodedError, String(error));
    assert.ok(error.kind !== 'corrupt' && !JSON.stringify(error.details).includes('secret word'));
    return { code: error.code };
  });
  return { read, shown };
}

test('on a terminal a password is typed twice and never shown', async () => {
  for (const keys of [
    ['secret words\rsecret words\r'],
    ['secret wordX\u007Fs\n', 'secret', ' words\n'],
    [...Buffer.from('secret words\rsecret words\r')].map((byte) => Buffer.of(byte)),
  ]) {
    const { input, modes } = terminal(...keys);
    assert.deepEqual(await outcome(input), { read: 'secret words', shown: 'New: \nAgain: \n' });
    assert.deepEqual(modes, [true, false], 'and the terminal shows again what comes next');
  }
  const split = [...Buffer.from('Zoë \u{1F600}\rZoë \u{1F600}\r')].map((byte) => Buffer.of(byte));
  assert.equal((await outcome(terminal(...split).input)).read, 'Zoë \u{1F600}');
  const once = await outcome(terminal('secret words\r').input, { ask: 'Password: ' });
  assert.deepEqual(once, { read: 'secret words', shown: 'Password: \n' });
});

test('what differs, ends early, is stopped or is no character is refused, and the terminal shows what comes next', async () => {
  for (const [keys, code] of [
    ['secret words\rsecret word\r', 'differs'],
    ['secret words\r', 'none'],
    ['\r\r', 'none'],
    ['', 'none'],
    ['secret wo\u0003', 'stopped'],
    ['secret\u001B[D words\r', 'other_key'],
  ] as const) {
    const { input, modes } = terminal(keys);
    assert.deepEqual((await outcome(input)).read, { code: `secret_input.${code}` }, JSON.stringify(keys));
    assert.deepEqual(modes.at(-1), false);
  }
});

test('from standard input a password is one line of UTF-8', async () => {
  for (const text of ['secret words', 'secret words\n', 'secret words\r\n']) {
    assert.deepEqual(await outcome(pipe(text)), { read: 'secret words', shown: '' });
  }
  assert.equal((await outcome(pipe('secr', 'et\twords'))).read, 'secret\twords');
  for (const [text, code] of [
    ['', 'secret_input.none'],
    ['\n', 'secret_input.none'],
    ['secret words\nmore\n', 'secret_input.several_lines'],
    ['secret words\n\n', 'secret_input.several_lines'],
    [Buffer.from([0x73, 0xff, 0x73]), 'archive_password.not_text'],
  ] as const) {
    assert.deepEqual((await outcome(pipe(text))).read, { code }, String(text));
  }
});

test('what is longer than 64 KiB is refused, and never cut to a password that nobody chose', async () => {
  const most = 65_536;
  assert.deepEqual((await outcome(pipe('a'.repeat(most)))).read, 'a'.repeat(most));
  for (const chunks of [['a'.repeat(most + 1)], ['a'.repeat(most), 'b'], ['a'.repeat(most), '\n', 'secret word']])
    assert.deepEqual((await outcome(pipe(...chunks))).read, { code: 'secret_input.too_long' });
});
