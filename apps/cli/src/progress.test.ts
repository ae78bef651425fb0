import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '@holdfast/base';
import { bytesText, columns, durationText } from './figures.ts';
import { createProgress, progressText } from './progress.ts';

function fakeStream(isTTY: boolean) {
  const written: string[] = [];
  const stream = {
    isTTY,
    columns: 200,
    write: (text: string) => written.push(text) > 0,
  } as unknown as NodeJS.WriteStream;
  return { stream, written };
}

test('a bar shows share, rate and time left where the whole is known', () => {
  const text = progressText('restore', { doneBytes: 50 * 1024, totalBytes: 200 * 1024, detail: '3 files' }, 5);
  assert.equal(text, 'restore  [######------------------]  25 %  50 KiB of 200 KiB  10 KiB/s  15 s left  3 files');
  const sparse = progressText('restore', { doneBytes: 34, totalBytes: 50 * 2 ** 30, detail: 'x' }, 17);
  assert.doesNotMatch(sparse, / left/, 'no forecast of centuries');
  assert.equal(progressText('backup', { doneBytes: 2048, detail: 'x' }, 2), 'backup  2.0 KiB  1.0 KiB/s  x');
});

test('a terminal gets one line that is written over; a file a plain line every ten seconds; JSON nothing', () => {
  const clock = manualClock();
  const [terminal, file, json] = [fakeStream(true), fakeStream(false), fakeStream(true)];
  const displays = [
    createProgress('x', { json: false, stream: terminal.stream, clock }),
    createProgress('x', { json: false, stream: file.stream, clock }),
    createProgress('x', { json: true, stream: json.stream, clock }),
  ];
  for (let second = 0; second < 21; second++) {
    clock.advance(1000);
    for (const display of displays) display.show({ doneBytes: second, detail: '' });
  }
  for (const display of displays) display.end();
  assert.ok(terminal.written.every((text) => text.startsWith('\r\u001b[K') && !text.includes('\n')));
  assert.equal(file.written.length, 2);
  assert.ok(file.written.every((text) => text.endsWith('\n') && !text.includes('\u001b')));
  assert.equal(json.written.length, 0);
});

test('figures are short and columns align', () => {
  assert.deepEqual([0, 1023, 1024, 10_485_760, 1.5 * 2 ** 40].map(bytesText), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '10 MiB',
    '1.5 TiB',
  ]);
  assert.deepEqual([0, 59.6, 185, 7260].map(durationText), ['0 s', '1 min 00 s', '3 min 05 s', '2 h 01 min']);
  assert.equal(
    columns([
      ['a', 'b'],
      ['ccc', 'd'],
    ]),
    'a    b\nccc  d',
  );
});
