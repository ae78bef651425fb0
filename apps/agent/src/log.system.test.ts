import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { lineWriter } from './log.ts';

const program = `
  import { createLog, lineWriter } from ${JSON.stringify(new URL('log.ts', import.meta.url).href)};
  const log = createLog(lineWriter(process.stderr));
  process.stdin.once('data', async () => {
    for (let number = 0; number < 3; number++) {
      log.info('a line');
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.stdout.write('goes on');
    process.stdin.pause();
  });
`;
const args = ['--input-type=module', '--eval', program];

test('a log on a full disk does not end the process that writes it', () => {
  const full = openSync('/dev/full', 'w');
  const { status, stdout } = spawnSync(process.execPath, args, { input: 'go', stdio: ['pipe', 'pipe', full] });
  closeSync(full);
  assert.deepEqual([status, stdout.toString()], [0, 'goes on']);
});

test('a log that nobody reads any more does not end the process that writes it', async () => {
  const child = spawn(process.execPath, args, { stdio: 'pipe' });
  child.stderr.destroy();
  await once(child.stderr, 'close');
  child.stdin.end('go');
  const [[code], said] = await Promise.all([once(child, 'exit'), child.stdout.setEncoding('utf8').toArray()]);
  assert.deepEqual([code, said.join('')], [0, 'goes on']);
});

test('the first line that can be written again says how many could not', () => {
  const written: string[] = [];
  let isFull = true;
  const write = lineWriter({
    on: () => undefined,
    write: (text, onDone) => {
      if (!isFull) written.push(text);
      onDone(isFull ? new Error('no space') : undefined);
    },
  });
  for (const line of ['one\n', 'two\n']) write(line);
  isFull = false;
  for (const line of ['three\n', 'four\n']) write(line);
  const [notice, ...lines] = written.join('').split('\n');
  assert.deepEqual(JSON.parse(notice!), { level: 'warn', message: 'lines could not be written', leftOut: 2 });
  assert.deepEqual(lines, ['three', 'four', '']);
});
