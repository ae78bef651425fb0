import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { createLog, lastingDestination, rotatingFile } from './log.ts';

function collect() {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  return { lines, log: createLog({ level: 'info', destination: { write } }) };
}

test('a line is one JSON object with level, time, message and facts', () => {
  const { lines, log } = collect();
  log.info({ attempt: 3 }, 'tried');
  log.debug({}, 'below the level');
  assert.equal(lines.length, 1);
  assert.match(String(lines[0]!['time']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual({ ...lines[0], time: '' }, { level: 'info', time: '', attempt: 3, message: 'tried' });
});

test('secrets and error details do not reach the log, codes and causes do', () => {
  const { lines, log } = collect();
  const cause = new CodedError({ code: 'a.b', kind: 'invalid', message: 'inner', details: { folder: '/home/eve' } });
  const err = new CodedError({ code: 'c.d', kind: 'corrupt', message: 'outer', details: { folder: '/x' } }, { cause });
  log.error({ err, password: 'hunter2', nested: { token: 'hunter2', kept: 1 } }, 'failed');
  const text = JSON.stringify(lines);
  for (const secret of ['hunter2', '/home/eve', '/x']) assert.equal(text.includes(secret), false, secret);
  for (const fact of ['c.d', 'corrupt', 'outer', 'a.b', 'inner', '"kept":1']) assert.ok(text.includes(fact), fact);
});

test('a log file is rotated by size and keeps a bounded number of old ones', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast log '));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'logs', 'cloud.log');
  const line = `${'x'.repeat(99)}\n`;
  const stream = rotatingFile(file, { maxBytes: 1_000, keep: 2 });
  for (let count = 0; count < 100; count++) stream.write(line);
  rotatingFile(file, { maxBytes: 1_000, keep: 2 }).write('after a restart\n');
  assert.deepEqual(readdirSync(path.dirname(file)).toSorted(), ['cloud.log', 'cloud.log.1', 'cloud.log.2']);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  for (const old of ['.1', '.2']) assert.equal(readFileSync(file + old, 'utf8'), line.repeat(10));
  assert.equal(readFileSync(file, 'utf8'), 'after a restart\n');
});

test('a line that cannot be written ends nothing, and the next one that can says how many were left out', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast log '));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'log');
  symlinkSync('/dev/full', file);
  const destination = rotatingFile(file);
  for (const line of ['one\n', 'two\n']) destination.write(line);
  rmSync(file);
  destination.write('three\n');
  const [said, third] = readFileSync(file, 'utf8').split('\n');
  assert.equal((JSON.parse(said!) as { leftOut: number }).leftOut, 2);
  assert.equal(third, 'three');
});

test('a log whose disk is full ends nothing, and keeps no more than a little until lines can be written again', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast log '));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const full = openSync('/dev/full', 'w');
  t.after(() => closeSync(full));
  const lost = createLog({ level: 'info', destination: lastingDestination(full) });
  const before = process.memoryUsage().rss;
  for (let line = 0; line < 20_000; line++) lost.info({ fill: 'x'.repeat(2_000) }, 'nobody hears this');
  assert.ok(process.memoryUsage().rss - before < 30_000_000, 'forty megabytes of lines are not kept');
  const file = path.join(folder, 'log');
  const fd = openSync(file, 'w');
  t.after(() => closeSync(fd));
  const heard = createLog({ level: 'info', destination: lastingDestination(fd) });
  heard.info({ attempt: 1 }, 'heard');
  assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { message: string }).message, 'heard');
});
