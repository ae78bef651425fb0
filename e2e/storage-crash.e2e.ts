import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { CloudDestination, enroll, EnrollmentStore, CloudClient } from '@holdfast/agent/cloud';
import { CodedError } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { ExampleLog, joined, sha256Of } from './example-log.ts';
import { until } from './process-tree.ts';
import { aboutDevice, newFolder } from './running-cloud.ts';
import { startServerProcess } from './server-process.ts';

async function startServer(t: TestContext) {
  const server = await startServerProcess(t);
  const store = new EnrollmentStore(newFolder(t));
  const tokenText = JSON.stringify(await server.invite());
  const enrollment = await enroll({ ...aboutDevice, tokenText }, store);
  const client = new CloudClient(enrollment);
  afterwards(t, () => client.close());
  return { server, client, enrollment };
}

/** Opens a session as an agent does: again and again while the server is away. */
async function connect(client: CloudClient, log: ExampleLog): Promise<CloudDestination> {
  const { archiveId, keyRecords } = log;
  let session: CloudDestination | undefined;
  const tryOnce = async () => {
    session = await CloudDestination.open(client, { archiveId, keyRecords, known: undefined }).catch(
      (error: unknown) => {
        if (error instanceof CodedError && error.kind === 'unavailable') return undefined;
        throw error;
      },
    );
    return session !== undefined;
  };
  await until(tryOnce, 'a session', 60_000);
  return session!;
}

test(
  'whatever kills the server or its database during an upload, every acknowledged record is there afterwards',
  { timeout: 280_000 },
  async (t) => {
    const { server, client, enrollment } = await startServer(t);
    const log = new ExampleLog(enrollment.escrowKeys);
    const blocks = Array.from({ length: 900 }, () => log.block(60_000));
    const fragments = Array.from({ length: 150 }, (_, i) => blocks.slice(i * 6, i * 6 + 6));
    const acknowledged = new Set<number>();
    const killers: readonly (readonly [after: number, kill: () => Promise<void>])[] = [
      [20, () => server.kill().then(() => server.start())],
      [60, async () => assert.ok(server.killDatabase(), 'PostgreSQL runs below the server')],
      [100, () => server.kill().then(() => server.start())],
    ];
    const kills: Promise<void>[] = [];
    let failures = 0;
    for (let round = 0; acknowledged.size < fragments.length && round < 12; round++) {
      const session = await connect(client, log);
      const open = fragments.keys().filter((i) => !acknowledged.has(i));
      const sent = [...open].map(async (i) => {
        await session.append(joined(...fragments[i]!));
        acknowledged.add(i);
        const due = killers[kills.length];
        if (due && acknowledged.size >= due[0]) kills.push(due[1]());
      });
      failures += (await Promise.allSettled(sent)).filter(({ status }) => status === 'rejected').length;
      await Promise.all(kills);
    }
    assert.equal(acknowledged.size, fragments.length);
    assert.equal(kills.length, 3);
    t.diagnostic(`${failures} fragments were sent again in another session`);
    await server.kill();
    await server.start();
    const session = await connect(client, log);
    const expected = new Map(blocks.map(({ ordinal, bytes }) => [sha256Of(bytes), ordinal]));
    for await (const record of session.read(blocks.map(({ ordinal }) => ordinal))) expected.delete(sha256Of(record));
    assert.deepEqual([...expected.values()], []);
  },
);
