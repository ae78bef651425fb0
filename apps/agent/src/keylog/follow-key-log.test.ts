import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { KEY_LOG_PAGE, type Route } from '@holdfast/contract';
import { anonymous, call } from '@holdfast/sdk';
import {
  appendLeaves,
  emptyTree,
  formatHeadFile,
  formatVerifierKey,
  keyLogOrigin,
  memorySource,
  noteSigner,
  openHeadFile,
  outlineHash,
  outlineOf,
  proveConsistency,
  rootOf,
  signCheckpoint,
  subject,
  writeKeyLogLeaf,
  type KeyLogFact,
  type LeafOutline,
} from '@holdfast/trust';
import { followKeyLog, type FollowKeyLogOptions } from './follow-key-log.ts';
import { KeyLogBook } from './key-log-book.ts';

const [installationId, tenantUid, deviceUid, archiveId, stranger] = [1, 2, 3, 4, 5].map(
  (number) => `0190a000-0000-7000-8000-00000000000${number}`,
) as [string, string, string, string, string];
const origin = keyLogOrigin(installationId, tenantUid);
const newSigner = () =>
  noteSigner(`holdfast/${installationId}/${tenantUid}/audit`, generateKeyPairSync('ed25519').privateKey);
const signer = newSigner();
const subjects = [subject.archive(archiveId), subject.device(deviceUid), subject.everyone];
const at = '2026-01-02T03:04:05.678Z';
const { signal } = new AbortController();

type Entry = { readonly outline: LeafOutline; readonly body: string | undefined };

let made = 0;
/** A leaf about some archive, as it is shown to this device. */
function leaf(about = stranger, fact: Partial<KeyLogFact> = {}): Entry {
  const slots = { keyringNumber: 1, keyringSha256: '0'.repeat(64), slots: [] };
  const nonce = Buffer.from(`nonce ${String(++made).padStart(10, '0')}`).toString('base64url');
  const whole = { kind: 'keyring_added', archiveId: about, ...slots, ...fact, at, nonce } as const;
  const { text, outline } = writeKeyLogLeaf(whole as Parameters<typeof writeKeyLogLeaf>[0]);
  return { outline, body: about === archiveId ? text : undefined };
}

/** What a server shows: a head that it signs over some leaves, the leaves, and proofs of that tree. */
type Shown = {
  readonly entries: readonly Entry[];
  /** What the head is over, where that is something else. */
  readonly signed?: readonly Entry[];
  readonly size?: number;
  readonly note?: (note: string) => string;
  readonly by?: typeof signer;
  readonly name?: string;
  /** A proof of something else. */
  readonly proof?: readonly Uint8Array[];
};

const treeOf = (entries: readonly Entry[]) =>
  appendLeaves(
    emptyTree,
    entries.map(({ outline }) => outlineHash(outline)),
  );

/** A server on loopback that says what it is told to say, and a device that follows it. */
class Scene {
  shown: Shown = { entries: [] };
  readonly book: KeyLogBook;
  readonly asked: string[] = [];
  readonly #client: FollowKeyLogOptions['client'];

  private constructor(folder: string, port: number) {
    const pinned = { origin, verifier: formatVerifierKey(signer.key) };
    this.book = new KeyLogBook(path.join(folder, 'key-log.db'), pinned);
    const options = { baseUrl: `http://127.0.0.1:${port}`, fetch, credentials: anonymous };
    const ask: unknown = (route: Route, input: object) => call(options, route, input as never);
    this.#client = { call: ask as FollowKeyLogOptions['client']['call'] };
  }

  static async start(t: TestContext): Promise<Scene> {
    const folder = mkdtempSync(path.join(tmpdir(), 'holdfast key log '));
    const server = createServer((request, response) => {
      scene.asked.push(request.url ?? '');
      void scene.#answer(new URL(request.url ?? '', 'http://localhost')).then((reply) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(reply));
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const scene: Scene = new Scene(folder, (server.address() as AddressInfo).port);
    t.after(() => {
      server.close();
      server.closeAllConnections();
      scene.book.close();
      rmSync(folder, { recursive: true });
    });
    return scene;
  }

  follow(shown: Shown) {
    this.shown = shown;
    return followKeyLog({ client: this.#client, book: this.book, subjects, signal });
  }

  async #answer({ pathname, searchParams }: URL): Promise<object> {
    const { entries, signed = entries, size, note = (text) => text, by = signer, name = origin, proof } = this.shown;
    const tree = treeOf(signed);
    const treeSize = size ?? signed.length;
    const number = (key: string) => Number(searchParams.get(key));
    if (pathname.endsWith('/head')) {
      const text = signCheckpoint({ origin: name, treeSize, root: rootOf(tree.state) }, [by]);
      return { treeSize, signedAt: at, note: note(text), verifier: formatVerifierKey(by.key) };
    }
    if (pathname.endsWith('/consistency')) {
      const hashes = proof ?? (await proveConsistency(memorySource(tree.nodes), number('fromSize'), number('toSize')));
      return { proof: hashes.map((hash) => Buffer.from(hash).toString('base64')) };
    }
    const page = entries.slice(number('from'), number('from') + number('limit'));
    return { leaves: page.map(({ outline, body }) => ({ outline: Buffer.from(outline).toString('base64url'), body })) };
  }
}

const genuine = () => [leaf(), leaf(archiveId), leaf(), leaf(), leaf(stranger)];

async function codeOf(followed: ReturnType<Scene['follow']>): Promise<string> {
  const result = await followed;
  return result.status === 'fault' ? result.error.code : result.status;
}

/** What a server may show after five genuine leaves, and what the device says of it. */
const lies: Readonly<Record<string, readonly [code: string, lie: (seen: readonly Entry[]) => Shown]>> = {
  'a log with another past': ['key_log.forked', (seen) => ({ entries: [leaf(), ...seen.slice(1), leaf()] })],
  'a log of the same size with another past': ['key_log.forked', (seen) => ({ entries: seen.with(3, leaf()) })],
  'a log with another past and a proof of nothing': [
    'key_log.forked',
    (seen) => ({ entries: [leaf(), ...seen.slice(1), leaf()], proof: [outlineHash(leaf().outline)] }),
  ],
  'two leaves exchanged': [
    'key_log.forked',
    (seen) => ({ entries: [...seen.with(2, seen[3]!).with(3, seen[2]!), leaf()] }),
  ],
  'a leaf removed and the gap closed': [
    'key_log.forked',
    (seen) => ({ entries: [...seen.toSpliced(2, 1), leaf(), leaf()] }),
  ],
  'a log that became shorter': ['key_log.shrunk', (seen) => ({ entries: seen.slice(0, 3) })],
  'an empty log': ['key_log.shrunk', () => ({ entries: [] })],
  'a shorter log with another past': ['key_log.forked', (seen) => ({ entries: [leaf(), ...seen.slice(1, 3)] })],
  'a new leaf that is not the one signed for': [
    'key_log.leaf_altered',
    (seen) => ({ entries: [...seen, leaf()], signed: [...seen, leaf()] }),
  ],
  'new leaves in another order': [
    'key_log.leaf_altered',
    (seen) => {
      const [one, two] = [leaf(), leaf()];
      return { entries: [...seen, two, one], signed: [...seen, one, two] };
    },
  ],
  'a new leaf left out': [
    'key_log.leaf_altered',
    (seen) => {
      const [one, two] = [leaf(), leaf()];
      return { entries: [...seen, two], signed: [...seen, one, two] };
    },
  ],
  'a leaf about the archive without its text': [
    'key_log.leaf_hidden',
    (seen) => ({ entries: [...seen, { ...leaf(archiveId), body: undefined }] }),
  ],
  'a leaf about the archive with the text of another': [
    'key_log.leaf_hidden',
    (seen) => ({ entries: [...seen, { ...leaf(archiveId), body: leaf(archiveId).body }] }),
  ],
  'a head signed by another key of the name': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], by: newSigner() }),
  ],
  'a head of the audit log': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], name: signer.key.name }),
  ],
  'a head with another number': [
    'key_log.head_unsigned',
    (seen) => ({ entries: [...seen, leaf()], note: (text) => text.replace('\n6\n', '\n7\n') }),
  ],
};

for (const [what, [code, lie]] of Object.entries(lies)) {
  test(`${what} is noticed and kept, the genuine log is accepted before and after`, async (t) => {
    const scene = await Scene.start(t);
    const seen = genuine();
    assert.equal(await codeOf(scene.follow({ entries: seen })), 'grown');
    assert.equal(await codeOf(scene.follow({ entries: seen })), 'unchanged');
    const head = scene.book.head();
    assert.deepEqual(scene.book.faults(), []);
    assert.equal(await codeOf(scene.follow(lie(seen))), code);
    assert.deepEqual(scene.book.head(), head, 'what was checked stays');
    const [fault, ...more] = scene.book.faults();
    assert.deepEqual([fault?.code, more.length], [code, 0]);
    assert.match(fault?.note ?? '', /^holdfast\//);
    const again = await scene.follow(lie(seen));
    assert.ok(again.status === 'fault' && !again.isFirst);
    assert.equal(scene.book.faults().length, 1);
    assert.equal(await codeOf(scene.follow({ entries: [...seen, leaf(archiveId)] })), 'grown');
    assert.deepEqual(
      scene.book.ownLeaves().map(({ logIndex }) => logIndex),
      [1, 5],
    );
    assert.equal(scene.book.faults().length, 1, 'a fault is not forgotten');
  });
}

test('a log is followed from nothing over many pages, and then only by what is new', async (t) => {
  const scene = await Scene.start(t);
  assert.equal(await codeOf(scene.follow({ entries: [] })), 'grown', 'an empty log has a head, too');
  assert.equal(await codeOf(scene.follow({ entries: [] })), 'unchanged');
  const many = Array.from({ length: KEY_LOG_PAGE * 2 + 3 }, (_, index) =>
    index % 1_000 === 7 ? leaf(archiveId) : leaf(),
  );
  const followed = await scene.follow({ entries: many });
  assert.deepEqual(followed, { status: 'grown', leaves: many.length });
  const own = many.flatMap(({ body }, logIndex) => (body === undefined ? [] : [{ logIndex, text: body }]));
  assert.deepEqual(scene.book.ownLeaves(), own);
  scene.asked.length = 0;
  await scene.follow({ entries: [...many, leaf()] });
  const asked = scene.asked.filter((url) => url.includes('/leaves'));
  assert.deepEqual(asked, [`/v1/key-log/own/leaves?from=${many.length}&limit=1`]);
});

test('a leaf of a kind that this version does not know is kept as it is', async (t) => {
  const scene = await Scene.start(t);
  const text = JSON.stringify({ archiveId, at, kind: 'from_the_future', nonce: 'x' });
  const unknown = { outline: outlineOf(text, [subject.archive(archiveId)]), body: text };
  assert.equal(await codeOf(scene.follow({ entries: [leaf(), unknown] })), 'grown');
  assert.deepEqual(scene.book.ownLeaves(), [{ logIndex: 1, text }]);
});

test('what is known outlives the process, and is given up for another log', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast key log '));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'key-log.db');
  const pinned = { origin, verifier: formatVerifierKey(signer.key) };
  const entries = genuine();
  const { state: tree } = treeOf(entries);
  const head = { note: 'note', tree, verifiedAtMs: 5 };
  const leaves = entries.map(({ outline, body }) => ({ hash: outlineHash(outline), ...(body && { text: body }) }));
  const open = (log = pinned) => {
    const book = new KeyLogBook(file, log);
    const seen = [book.head(), book.hashes(0, 9).length, book.ownLeaves().length] as const;
    return { book, seen };
  };
  const first = open();
  first.book.advance(head, leaves);
  first.book.close();
  first.book.close();
  const second = open();
  second.book.close();
  assert.deepEqual(second.seen, [head, 5, 1]);
  const other = open({ ...pinned, origin: 'holdfast/other/tenant/keys' });
  other.book.close();
  assert.deepEqual(other.seen, [undefined, 0, 0]);
});

test('the head that was checked is written with its leaves, and opens', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  const { note, tree } = scene.book.head() ?? assert.fail();
  const file = formatHeadFile({ ...scene.book.pinned, note, leaves: scene.book.hashes(0, tree.size) });
  assert.equal(openHeadFile(file).head.treeSize, entries.length);
});
