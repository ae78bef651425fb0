import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { readOrders, sendOrders, type KeystoreOrders } from './orders.ts';

const orders = (keys: number): KeystoreOrders => ({
  homeDir: '/srv/a folder with é',
  installationId: '00000000-0000-4000-8000-000000000000',
  database: { url: 'postgresql://localhost/holdfast' },
  password: 'a password',
  logLevel: 'info',
  roleKeys: Array.from({ length: keys }, (_, index) => ({
    keyId: String(index).padStart(16, '0'),
    key: new Uint8Array(32).fill(index + 1),
  })),
});

async function written(given: KeystoreOrders): Promise<Buffer> {
  const pipe = new PassThrough();
  sendOrders(pipe, given);
  return Buffer.from(pipe.read() as Buffer);
}

test('orders arrive as they were given, in whatever pieces, with whatever after them, and their pieces are overwritten', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat(2_000)), async (keys, cuts) => {
      const given = orders(keys);
      const whole = await written(given);
      const places = [0, ...cuts.filter((at) => at < whole.length).toSorted((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((to, index) => Buffer.from(whole.subarray(places[index], to)));
      const pipe = new PassThrough();
      const reading = readOrders(pipe);
      for (const piece of pieces) pipe.write(piece);
      assert.deepEqual(await reading, given);
      for (const piece of pieces) assert.ok(piece.every((byte) => byte === 0));
      pipe.destroy();
    }),
    { numRuns: 50 },
  );
});

test('a pipe that ends before the orders are whole has given none, at whatever byte', async () => {
  const whole = await written(orders(2));
  for (const length of [0, 1, 3, 4, 5, whole.length - 65, whole.length - 33, whole.length - 1]) {
    const pipe = new PassThrough();
    const reading = readOrders(pipe);
    // A copy: what is read is overwritten.
    pipe.end(Buffer.from(whole.subarray(0, length)));
    assert.equal(await reading, undefined, `${length} bytes`);
  }
  const pipe = new PassThrough();
  const reading = readOrders(pipe);
  pipe.end(whole);
  assert.deepEqual(await reading, orders(2));
});

test('an error about orders quotes nothing of them', async () => {
  const secret = 'a password that nobody else may read';
  for (const text of [`{"password":"${secret}"`, `{"password":"${secret}"}`, `"${secret}"`, secret]) {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    const pipe = new PassThrough();
    const reading = readOrders(pipe);
    pipe.write(Buffer.concat([length, bytes]));
    const error = await reading.then(
      () => assert.fail('they were taken'),
      (reason: unknown) => reason as Error,
    );
    assert.doesNotMatch(inspect(error, { depth: 9 }), /password/);
    assert.equal(error.cause, undefined);
  }
});

test('orders that are too long or of another form are refused', async () => {
  const wrong = [
    Buffer.alloc(100_000, 1),
    Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from('{}')]),
    Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from('xx')]),
  ];
  for (const bytes of wrong) {
    const pipe = new PassThrough();
    const reading = readOrders(pipe);
    pipe.write(bytes);
    await assert.rejects(reading);
  }
});
