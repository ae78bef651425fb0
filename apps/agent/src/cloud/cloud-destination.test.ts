import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { RecordKind } from '@holdfast/archive';
import { formatUuid } from '@holdfast/base';
import { storageRoutes } from '@holdfast/contract';
import type { CloudClient } from './cloud-client.ts';
import { CloudDestination } from './cloud-destination.ts';

const archiveId = new Uint8Array(16).fill(7);
const installationId = '0198c2de-6a10-7000-8000-000000000001';
const receipts = generateKeyPairSync('ed25519');
const header = Buffer.from(JSON.stringify({ alg: 'EdDSA' })).toString('base64url');

/** What a server answers: to an append, to a list, to a read. */
type Answers = {
  readonly receipt?: string;
  readonly ordinals?: ReadableStream<Uint8Array>;
  readonly records?: ReadableStream<Uint8Array>;
  /** The agent's. */
  readonly signal?: AbortSignal;
};

/** A session with a server that has ten records of writer 0, and answers so. */
function openWith({ receipt = '', ordinals, records, signal }: Answers): Promise<CloudDestination> {
  const opened = {
    session: 1,
    nextFragment: 1,
    head: null,
    comparison: 'same',
    keyring: null,
    serverTime: '2026-01-01T00:00:00.000Z',
    highestSequences: [{ writer: 0, sequence: 9 }],
    receiptKey: { keyId: 'k', x: receipts.publicKey.export({ format: 'jwk' }).x },
  };
  const answers = new Map<object, () => unknown>([
    [storageRoutes.openSession, () => opened],
    [storageRoutes.append, () => ({ nextFragment: 2, head: null, at: '2026-01-01T00:00:00.000Z', receipt })],
    [storageRoutes.ordinals, () => new Response(ordinals)],
    [storageRoutes.read, () => new Response(records)],
  ]);
  const call = (route: object) => Promise.resolve(answers.get(route)?.() ?? assert.fail('no such call was expected'));
  const client = { enrollment: { installationId }, call } as unknown as CloudClient;
  return CloudDestination.open(client, { archiveId, known: undefined, keyRecords: [], ...(signal && { signal }) });
}

function signed(payload: Buffer | string): string {
  const text = `${header}.${Buffer.from(payload).toString('base64url')}`;
  return `${text}.${sign(undefined, Buffer.from(text), receipts.privateKey).toString('base64url')}`;
}

/** The same bytes again and again: `times` of them, or without end. */
function repeating(bytes: Uint8Array, times = Number.POSITIVE_INFINITY): ReadableStream<Uint8Array> {
  let given = 0;
  return new ReadableStream({
    pull(controller) {
      if (given++ < times) controller.enqueue(new Uint8Array(bytes));
      else controller.close();
    },
  });
}

async function count(items: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  for await (const _ of items) found++;
  return found;
}

test('a receipt counts only when it is signed, is one, and is of this fragment', async () => {
  const claims = {
    installationId,
    archiveId: formatUuid(archiveId),
    session: 1,
    fragment: 1,
    head: null,
    at: '2026-01-01T00:00:00.000Z',
  };
  const genuine = JSON.stringify(claims);
  for (const receipt of [
    signed('not JSON'),
    signed(''),
    signed('null'),
    signed('[]'),
    signed(Buffer.from([0xff, 0xfe])),
    signed(genuine.slice(0, -1)),
    signed(JSON.stringify({ ...claims, fragment: 2 })),
    signed(JSON.stringify({ ...claims, session: 2 })),
    signed(JSON.stringify({ ...claims, head: 'none' })),
    `${signed(genuine).slice(0, -4)}AAAA`,
    'a.b.c',
    '..',
    '',
  ]) {
    const session = await openWith({ receipt });
    await assert.rejects(session.append(new Uint8Array(100)), { code: 'cloud_link.receipt_invalid' }, receipt);
  }
  for (const receipt of [genuine, JSON.stringify({ ...claims, more: 1 }), ` ${genuine}\n`].map(signed)) {
    await (await openWith({ receipt })).append(new Uint8Array(100));
  }
});

test('a list of ordinals ends where there can be no more of them', { timeout: 20_000 }, async () => {
  const entry = Uint8Array.of(3, 0, 0, 0, 0, 0, RecordKind.block);
  for (const times of [0, 1, 10, 20]) {
    assert.equal(await count((await openWith({ ordinals: repeating(entry, times) })).list()), times);
  }
  for (const times of [21, Number.POSITIVE_INFINITY]) {
    const session = await openWith({ ordinals: repeating(entry, times) });
    await assert.rejects(count(session.list()), { code: 'cloud_link.reply_invalid' });
  }
  // What was sent since is there, too.
  const receipt = signed(
    JSON.stringify({
      installationId,
      archiveId: formatUuid(archiveId),
      session: 1,
      fragment: 1,
      head: null,
      at: '2026-01-01T00:00:00.000Z',
    }),
  );
  const session = await openWith({ receipt, ordinals: repeating(entry, 22) });
  await session.append(new Uint8Array(52));
  assert.equal(await count(session.list()), 22);
});

test('an answer to a read ends where all is there that was asked for', { timeout: 20_000 }, async () => {
  const record = Buffer.alloc(52 + 4096);
  record.write('HFR1');
  record[4] = 1;
  record[5] = RecordKind.block;
  record.writeUInt32LE(4096, 20);
  for (const times of [0, 1, 2]) {
    assert.equal(await count((await openWith({ records: repeating(record, times) })).read([0, 1])), times);
  }
  for (const times of [3, Number.POSITIVE_INFINITY]) {
    const session = await openWith({ records: repeating(record, times) });
    await assert.rejects(count(session.read([0, 1])), { code: 'cloud_link.reply_invalid' });
  }
});

test('an answer that breaks off is told apart from one that whoever asked has ended', { timeout: 20_000 }, async () => {
  const entry = Uint8Array.of(3, 0, 0, 0, 0, 0, RecordKind.block);
  const breaking = (onBreak: () => void) => {
    let given = 0;
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        if (given++ === 0) return controller.enqueue(new Uint8Array(entry));
        onBreak();
        controller.error(new Error('socket hang up'));
      },
    });
  };
  const cut = await openWith({ ordinals: breaking(() => undefined), records: breaking(() => undefined) });
  await assert.rejects(count(cut.list()), { code: 'cloud_link.reply_cut', kind: 'unavailable' });
  await assert.rejects(count(cut.read([0])), { code: 'cloud_link.reply_cut', kind: 'unavailable' });
  const agent = new AbortController();
  const ended = await openWith({ ordinals: breaking(() => agent.abort()), signal: agent.signal });
  await assert.rejects(count(ended.list()), { name: 'AbortError' });
  assert.equal(await count((await openWith({ ordinals: repeating(entry, 3), signal: agent.signal })).list()), 3);
});
