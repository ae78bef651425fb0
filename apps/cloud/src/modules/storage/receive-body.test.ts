import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { manualClock, systemClock } from '@holdfast/base';
import { BodyMemory, receiveBody } from './receive-body.ts';

const MIB = 1024 * 1024;
const memory = () => new BodyMemory(16 * MIB);
const tenantId = 'tenant';
const expected = (contentLength?: string) => ({ tenantId, contentLength, maxBytes: 2 * MIB, clock: systemClock });

function streamOf(...pieces: readonly Uint8Array[]): PassThrough {
  const stream = new PassThrough();
  for (const piece of pieces) stream.write(piece);
  return stream;
}

test('a body is received whole, however it is cut, with its length known before or not', async () => {
  const pieces = [1, 70_000, 16_384, 3].map((length, index) => new Uint8Array(length).fill(index + 1));
  const whole = Buffer.concat(pieces);
  for (const contentLength of [String(whole.length), String(whole.length + 5), undefined]) {
    const stream = streamOf(...pieces);
    stream.end();
    const { bytes, release } = await receiveBody(stream, memory(), expected(contentLength));
    assert.deepEqual(Buffer.from(bytes), whole);
    release();
  }
  const empty = streamOf();
  empty.end();
  assert.equal((await receiveBody(empty, memory(), expected('0'))).bytes.length, 0);
  assert.equal((await receiveBody(undefined, memory(), expected())).bytes.length, 0);
});

test('a body that is too long, cut off or fails is refused, and gives its memory back', async () => {
  const room = memory();
  const longer = streamOf(new Uint8Array(11));
  await assert.rejects(receiveBody(longer, room, expected('10')), { code: 'request.too_large' });
  assert.ok(longer.destroyed);
  await assert.rejects(receiveBody(streamOf(), room, expected(String(3 * MIB))), { code: 'request.too_large' });
  const cut = streamOf(new Uint8Array(5));
  setImmediate(() => cut.destroy());
  await assert.rejects(receiveBody(cut, room, expected('10')), { code: 'request.interrupted' });
  const failing = streamOf();
  setImmediate(() => failing.destroy(new Error('lost')));
  await assert.rejects(receiveBody(failing, room, expected()), /lost/);
  const [first, second] = [room.take(4 * MIB, tenantId), room.take(8 * MIB, tenantId)];
  assert.throws(() => room.take(1, tenantId), { code: 'storage.busy' });
  first.release();
  first.release();
  second.release();
  room.take(12 * MIB, tenantId).release();
});

test('a body that stays silent is given up, and one that drips in is not', async () => {
  const clock = manualClock();
  const stream = streamOf(new Uint8Array(1));
  const received = receiveBody(stream, memory(), { tenantId, contentLength: '10', maxBytes: MIB, clock });
  const outcome = received.then(
    () => 'received',
    (error: unknown) => (error as { code?: string }).code,
  );
  const heard = () => new Promise((resolve) => setImmediate(resolve));
  for (let seconds = 0; seconds < 100; seconds += 20) {
    await heard();
    clock.advance(20_000);
    stream.write(new Uint8Array(1));
  }
  await heard();
  assert.equal(stream.destroyed, false);
  clock.advance(31_000);
  await heard();
  clock.advance(31_000);
  assert.equal(await outcome, 'request.interrupted');
  assert.ok(stream.destroyed);
});

test('whatever one tenant sends, there is room left for another, and all of it together is bounded', () => {
  const room = memory();
  const held = [1, 2, 3].map(() => room.take(1, 'evil'));
  assert.throws(() => room.take(1, 'evil'), { code: 'storage.busy' });
  const other = room.take(4 * MIB, 'other');
  for (const tenant of ['other', 'third']) assert.throws(() => room.take(1, tenant), { code: 'storage.busy' });
  held.pop()?.release();
  const third = room.take(3 * MIB, 'third');
  for (const each of [other, third, ...held]) each.release();
  room.take(12 * MIB, 'evil').release();
});
