import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { appendLeaves, emptyTree, formatVerifierKey, leafHash, noteSigner, rootOf } from '@holdfast/trust';
import { startAgent } from '../agent.ts';
import { TestAgent } from '../testing.ts';
import { keyLogErrors } from './errors.ts';
import { KeyLogBook } from './key-log-book.ts';

type Said = { readonly code: string; readonly at: string; readonly remedy?: string; readonly count: number };
type KeyLog = {
  readonly leaves: number;
  readonly followedByKeystore?: number;
  readonly checkedAt?: string;
  readonly faults: readonly Said[];
  readonly late: readonly (Omit<Said, 'at'> & { readonly since: string })[];
};
const nothing = { proof: new Uint8Array(), hashesFrom: 0, hashes: new Uint8Array() };

/** An agent that knows a log. */
function agentWithLog(t: TestContext) {
  const first = new TestAgent();
  const { stateDir } = first.options;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const book = new KeyLogBook(path.join(stateDir, 'key-log.db'), { origin: 'log', verifier: 'key' });
  t.after(async () => {
    await first.remove();
    book.close();
  });
  return { agent: first, book };
}

test('what is wrong with the key log is said in status with what to do, and nothing where nothing is', async (t) => {
  const { agent, book } = agentWithLog(t);
  await agent.start({ keyLog: () => book });
  const shown = async () => ((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog;
  assert.deepEqual(await shown(), { leaves: 0, faults: [], late: [], notices: [] });
  const makers = Object.values(keyLogErrors).filter((make) => make().kind === 'corrupt');
  for (const [atMs, make] of makers.entries())
    book.noteFault(make({ shown: 5 }), { ...nothing, atMs, note: `head ${atMs}` });
  const { faults = [] } = (await shown()) ?? {};
  assert.deepEqual(
    faults.map(({ code }) => code),
    makers.map(({ code }) => code),
  );
  for (const { code, remedy } of faults) assert.ok(remedy, code);
  assert.equal(faults[1]?.at, '1970-01-01T00:00:00.001Z');
  const [, second] = await agent.items('key.log', {});
  assert.equal((second?.['evidence'] as { note: string } | undefined)?.note, 'head 1');
});

test('a head whose leaves never come, and a log that is not checked, are said in status with what to do', async (t) => {
  const { agent, book } = agentWithLog(t);
  const hour = 3_600_000;
  const leaves = Array.from({ length: 7 }, (_, index) => leafHash(Buffer.from(`${index}`)));
  const tree = appendLeaves(emptyTree, leaves).state;
  book.noteShown({ note: 'head', treeSize: 7, root: rootOf(tree) }, Date.now() - 2 * hour);
  await agent.start({ keyLog: () => book });
  const late = async () => ((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog?.late ?? [];
  const codes = async () => (await late()).map(({ code }) => code);
  assert.deepEqual(await codes(), ['key_log.withheld']);
  book.noteChecked(Date.now() - 2 * hour);
  assert.deepEqual(await codes(), ['key_log.withheld', 'key_log.unchecked']);
  for (const { code, remedy } of await late()) assert.ok(remedy, code);
  const page = { before: emptyTree, hashes: Buffer.concat(leaves), own: [] };
  book.advance({ note: 'head', tree, verifiedAtMs: Date.now() }, [page], { subjects: [] });
  assert.deepEqual(await codes(), []);
});

test('what the keystore signed, and that it follows nothing, are said in status with what to do', async (t) => {
  const { agent, book } = agentWithLog(t);
  const { privateKey } = generateKeyPairSync('ed25519');
  const keystoreVerifier = formatVerifierKey(noteSigner('keystore', privateKey).key);
  const hashes = [leafHash(Buffer.from('one'))];
  const tree = appendLeaves(emptyTree, hashes).state;
  const page = { before: emptyTree, hashes: Buffer.concat(hashes), own: [] };
  const running = await agent.start({ keyLog: () => book, keystoreVerifier });
  const shown = async () => ((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog;
  book.advance({ note: 'head', tree, verifiedAtMs: Date.now() }, [page], { subjects: [] });
  running.hearSigned({ cosigned: [] });
  const before = await shown();
  assert.deepEqual([before?.followedByKeystore, before?.late, before?.faults], [0, [], []]);
  running.hearSigned({ cosigned: [], followed: { treeSize: 1, note: 'head' } });
  book.noteChecked(Date.now() + 25 * 3_600_000);
  const { faults = [], late = [] } = (await shown()) ?? {};
  assert.deepEqual(
    faults.map(({ code }) => code),
    ['key_log.keystore_unsigned'],
  );
  const unfollowed = late.find(({ code }) => code === 'key_log.unfollowed');
  assert.ok(unfollowed?.remedy && faults[0]?.remedy);
});

test('a second agent on the same folder is refused before it opens what the first knows of the key log', async (t) => {
  const { agent, book } = agentWithLog(t);
  await agent.start({ keyLog: () => book });
  const opened: string[] = [];
  const second = { ...agent.options, socketPath: `${agent.options.socketPath}2` };
  const keyLog = () => {
    opened.push('the book');
    return book;
  };
  await assert.rejects(startAgent({ ...second, keyLog }), { code: 'state.in_use' });
  assert.deepEqual(opened, []);
});

test('the leaves about this computer and the head that was checked are handed out, of an agent that is enrolled', async (t) => {
  const { agent, book } = agentWithLog(t);
  await agent.start({ keyLog: () => book });
  await assert.rejects(agent.ask('key.log-head'), { code: 'cloud_link.key_log_unseen' });
  const hashes = Array.from({ length: 20_001 }, (_, index) => leafHash(Buffer.from(`${index}`)));
  const part = appendLeaves(emptyTree, hashes.slice(0, 7_000)).state;
  const pages = [
    { before: emptyTree, hashes: Buffer.concat(hashes.slice(0, 7_000)), own: [{ logIndex: 7, text: '{}' }] },
    { before: part, hashes: Buffer.concat(hashes.slice(7_000)), own: [] },
  ];
  const tree = appendLeaves(emptyTree, hashes).state;
  book.advance({ note: 'head', tree, verifiedAtMs: 0 }, pages, { subjects: [] });
  assert.deepEqual(await agent.items('key.log', {}), [{ leaf: { logIndex: 7, kind: 'unknown', text: '{}' } }]);
  const items = await agent.items('key.log-head', {});
  const handed = Buffer.concat(items.map(({ hashes: part }) => Buffer.from(String(part), 'base64')));
  assert.ok(handed.equals(Buffer.concat(hashes)));
  const { origin, verifier, note, treeSize, faults } = await agent.ask('key.log-head');
  assert.deepEqual([origin, verifier, note, treeSize, faults], ['log', 'key', 'head', hashes.length, 0]);
  book.noteFault(keyLogErrors.forked(), { ...nothing, atMs: 0, note: 'other' });
  assert.equal((await agent.ask('key.log-head'))['faults'], 1);
  await agent.stop();
  await agent.start();
  for (const request of ['key.log', 'key.log-head'])
    await assert.rejects(agent.ask(request), { code: 'cloud_link.not_enrolled' });
  assert.equal(((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog, undefined);
});
