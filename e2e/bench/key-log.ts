/**
 * `npm run bench:key-log [-- --leaves 100000 --appends 2000]`: what a tenant's key log costs when it is long, beside one that
 * has just begun, in the same run: appending leaves, proofs as devices ask for them, and a week of a device that was away.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  appendTestLeaf,
  deviceProof,
  endRawConnections,
  makeWorld,
  proveTestLeaf,
  sendRaw,
  startTestCloud,
  startTestCluster,
  type TenantWorld,
  type TestCluster,
} from '@holdfast/cloud/testing';
import { writeKeyLogLeaf } from '@holdfast/trust';
import { formatSpread, spreadOf } from './measure.ts';

const { values } = parseArgs({
  options: { leaves: { type: 'string', default: '100000' }, appends: { type: 'string', default: '2000' } },
});
const [leaves, appends] = [Number(values.leaves), Number(values.appends)];
const batch = 1_000;
const proofs = 200;

/** A leaf about two subjects, as most are. */
const newFact = () =>
  ({ kind: 'key_ended', deviceUid: randomUUID(), publicKey: 'A'.repeat(43), archiveId: randomUUID() }) as const;

async function measureAppends(world: TenantWorld): Promise<void> {
  for (const width of [1, 8]) {
    const begunMs = performance.now();
    let left = appends;
    const work = async () => {
      while (left-- > 0) await appendTestLeaf(world, newFact());
    };
    await Promise.all(Array.from({ length: width }, work));
    const perSecond = appends / ((performance.now() - begunMs) / 1_000);
    print(`appends, ${width} at once, each durable in a transaction of its own: ${perSecond.toFixed(0)}/s`);
  }
}

/** Many leaves in a statement: only so that they are there. */
async function fill(cluster: TestCluster, { cloud, tenant }: TenantWorld, count: number): Promise<void> {
  const at = new Date().toISOString();
  for (let have = 0; have < count; have += batch) {
    const rows = Array.from({ length: Math.min(batch, count - have) }, () =>
      writeKeyLogLeaf({ ...newFact(), at, nonce: randomBytes(16).toString('base64url') }),
    );
    await cluster.asSuperuser(
      cloud.testDatabase.target.database,
      'insert into key_log_leaves (tenant_id, body, outline) select $1, b, o from unnest($2::text[], $3::bytea[]) x(b, o)',
      [tenant.tenantUid, rows.map(({ text }) => text), rows.map(({ outline }) => Buffer.from(outline))],
    );
  }
}

async function measureReading(world: TenantWorld): Promise<void> {
  const proof = await deviceProof(world, 'api');
  const get = async (path: string) => {
    const reply = await sendRaw(world.cloud.url, {
      method: 'GET',
      path,
      headers: await proof({ method: 'GET', path }),
    });
    if (reply.status !== 200) throw new Error(reply.text);
    return reply.text;
  };
  const own = (rest: string) => `/v1/key-log/own/${rest}`;
  const somewhere = () => Math.floor(Math.random() * size);
  const { treeSize: size } = JSON.parse(await get(own('head'))) as { readonly treeSize: number };
  print(`${size} leaves by now`);
  const overHttp = () => get(own(`inclusion?logIndex=${somewhere()}&treeSize=${size}`));
  const consistency = () => get(own(`consistency?fromSize=${somewhere()}&toSize=${size}`));
  const kinds = {
    'inclusion proof, in a transaction of its own': () => proveTestLeaf(world, { index: somewhere(), size }),
    'inclusion proof, over HTTP with the proof of the device': overHttp,
    'consistency proof, over HTTP with the proof of the device': consistency,
  };
  for (const [what, ask] of Object.entries(kinds)) {
    const milliseconds: number[] = [];
    for (let asked = 0; asked < proofs; asked++) {
      const begunMs = performance.now();
      await ask();
      milliseconds.push(performance.now() - begunMs);
    }
    print(`${what}: ${formatSpread(spreadOf(milliseconds))} ms`);
  }
  const week = Math.ceil(leaves / 52);
  if (size <= week) return;
  const from = size - week;
  const parts = [
    own('head'),
    own(`consistency?fromSize=${from}&toSize=${size}`),
    own(`leaves?from=${from}&limit=${week}`),
  ];
  const bytes = await Promise.all(parts.map(get));
  print(`a week of ${week} leaves for a device: ${bytes.reduce((sum, { length }) => sum + length, 0)} bytes`);
}

const cluster = await startTestCluster();
const cloud = await startTestCloud(cluster);
try {
  const world = await makeWorld(cloud, 'measured');
  print('a log that has just begun');
  await measureAppends(world);
  await measureReading(world);
  await fill(cluster, world, leaves);
  print(`\na log of ${leaves} leaves more`);
  await measureAppends(world);
  await measureReading(world);
} finally {
  endRawConnections();
  await cloud.stop();
  await cluster.stop();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
