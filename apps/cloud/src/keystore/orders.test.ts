import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RoleAccess } from '../platform/role-access.ts';
import { listen, sendAccess, sendOrders, type KeystoreOrders, type Told } from './orders.ts';

const keys = (count: number): RoleAccess => ({
  kind: 'keys',
  keys: Array.from({ length: count }, (_, index) => ({
    keyId: String(index).padStart(16, '0'),
    key: new Uint8Array(32).fill(index + 1),
  })),
});
const token: RoleAccess = {
  kind: 'pkcs11',
  keySet: '0123456789abcdef',
  modulePath: '/usr/lib/a module.so',
  tokenLabel: 'é',
  secret: new TextEncoder().encode('a pin'),
};
const aws: RoleAccess = {
  kind: 'aws',
  keySet: '0123456789abcdef',
  region: 'eu-central-1',
  endpoint: null,
  keys: ['arn:one', 'arn:two'],
  secret: new TextEncoder().encode('{"credentials":1}'),
};
const vault: RoleAccess = {
  kind: 'vault',
  keySet: '0123456789abcdef',
  address: 'https://vault.example',
  mount: 'transit',
  namespace: 'a',
  ca: null,
  secret: new TextEncoder().encode('hvs.token'),
};
const orders = (access: RoleAccess): KeystoreOrders => ({
  homeDir: '/srv/a folder with é',
  installationId: '00000000-0000-4000-8000-000000000000',
  database: { url: 'postgresql://localhost/holdfast' },
  password: 'a password',
  logLevel: 'info',
  access,
});

/** Orders and answers as they are written one after the other. */
async function written(told: readonly Told[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  // Copies: what was written is overwritten.
  const pipe = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  for (const each of told) {
    if ('orders' in each) sendOrders(pipe, each.orders);
    else sendAccess(pipe, each.answers, each.access);
  }
  pipe.end();
  await finished(pipe);
  return Buffer.concat(chunks);
}

const access = fc.oneof(fc.integer({ min: 1, max: 20 }).map(keys), fc.constantFrom(token, aws, vault));
const answer = fc.record(
  { answers: fc.integer({ min: 1 }), access: fc.option(access, { nil: undefined }) },
  { noNullPrototype: true },
);
const answers = fc.array(answer, { maxLength: 5 });

test('orders and answers arrive as they were given, in whatever pieces, and their pieces are overwritten', async () => {
  await fc.assert(
    fc.asyncProperty(access, answers, fc.array(fc.nat(2_000)), async (first, more, cuts) => {
      const given: readonly Told[] = [{ orders: orders(first) }, ...more];
      const whole = await written(given);
      const places = [0, ...cuts.filter((at) => at < whole.length).toSorted((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((to, index) => Buffer.from(whole.subarray(places[index], to)));
      const pipe = new PassThrough();
      const told: Told[] = [];
      const listening = listen(pipe, (each) => told.push(each));
      for (const piece of pieces) pipe.write(piece);
      pipe.end();
      await listening;
      assert.deepEqual(told, given);
      for (const piece of pieces) assert.ok(piece.every((byte) => byte === 0));
    }),
    { numRuns: 50 },
  );
});

test('a pipe that ends before the orders are whole has given none, at whatever byte', async () => {
  for (const given of [orders(keys(2)), orders(token)]) {
    const whole = await written([{ orders: given }]);
    for (const length of [0, 1, 3, 4, 5, whole.length - 33, whole.length - 5, whole.length - 1, whole.length]) {
      const pipe = new PassThrough();
      const told: Told[] = [];
      const listening = listen(pipe, (each) => told.push(each));
      // A copy: what is read is overwritten.
      pipe.end(Buffer.from(whole.subarray(0, length)));
      await listening;
      assert.deepEqual(told, length === whole.length ? [{ orders: given }] : [], `${length} bytes`);
    }
  }
});

test('messages that are too long or of another form are refused, and no word of them is in the refusal', async () => {
  const framed = (text: string) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const wrong = [
    Buffer.alloc(200_000, 1),
    framed('{}'),
    framed('secret'),
    framed('{"answers":0,"access":null}'),
    framed('{"answers":1,"access":{"kind":"keys","keyIds":[]}}'),
    framed('{"answers":1,"access":{"kind":"secret"}}'),
  ];
  for (const bytes of wrong) {
    const pipe = new PassThrough();
    const told: Told[] = [];
    const listening = listen(pipe, (each) => told.push(each));
    pipe.write(await written([{ answers: 1, access: undefined }]));
    pipe.write(bytes);
    await assert.rejects(listening, (error: Error) => !error.message.includes('secret'));
    assert.deepEqual(told, [{ answers: 1, access: undefined }]);
  }
});
