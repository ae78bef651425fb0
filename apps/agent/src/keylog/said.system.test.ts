import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { appendLeaves, emptyTree, leafHash } from '@holdfast/trust';
import { TestAgent } from '../testing.ts';
import { keyLogErrors } from './errors.ts';
import { KeyLogBook } from './key-log-book.ts';

type KeyLog = {
  readonly leaves: number;
  readonly faults: readonly { readonly code: string; readonly at: string; readonly remedy?: string }[];
};

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
  await agent.start({ keyLog: book });
  const shown = async () => ((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog;
  assert.deepEqual(await shown(), { leaves: 0, faults: [] });
  const makers = Object.values(keyLogErrors);
  for (const [atMs, make] of makers.entries()) book.noteFault(make({ shown: 5 }), { atMs, note: `head ${atMs}` });
  const { faults = [] } = (await shown()) ?? {};
  assert.deepEqual(
    faults.map(({ code }) => code),
    makers.map(({ code }) => code),
  );
  for (const { code, remedy } of faults) assert.ok(remedy, code);
  assert.equal(faults[1]?.at, '1970-01-01T00:00:00.001Z');
  const { evidence } = (await agent.ask('key.log')) as { evidence?: readonly { note: string }[] };
  assert.equal(evidence?.[1]?.note, 'head 1');
});

test('the leaves about this computer and the head that was checked are handed out, of an agent that is enrolled', async (t) => {
  const { agent, book } = agentWithLog(t);
  await agent.start({ keyLog: book });
  await assert.rejects(agent.ask('key.log-head'), { code: 'cloud_link.key_log_unseen' });
  const hashes = Array.from({ length: 20_001 }, (_, index) => leafHash(Buffer.from(`${index}`)));
  const leaves = hashes.map((hash, index) => ({ hash, ...(index === 7 && { text: '{}' }) }));
  book.advance({ note: 'head', tree: appendLeaves(emptyTree, hashes).state, verifiedAtMs: 0 }, leaves);
  assert.deepEqual(await agent.items('key.log', {}), [{ logIndex: 7, kind: 'unknown', text: '{}' }]);
  const items = await agent.items('key.log-head', {});
  const handed = Buffer.concat(items.map(({ hashes: part }) => Buffer.from(String(part), 'base64')));
  assert.ok(handed.equals(Buffer.concat(hashes)));
  const { origin, verifier, note, treeSize } = await agent.ask('key.log-head');
  assert.deepEqual([origin, verifier, note, treeSize], ['log', 'key', 'head', hashes.length]);
  await agent.stop();
  await agent.start();
  for (const request of ['key.log', 'key.log-head'])
    await assert.rejects(agent.ask(request), { code: 'cloud_link.not_enrolled' });
  assert.equal(((await agent.ask('status')) as { keyLog?: KeyLog }).keyLog, undefined);
});
