/**
 * `npm run bench:canary [-- --archives 10000 --seed holdfast]`: what the weekly try of every escrow slot costs a tenant of many
 * archives, in seconds of a processor: what the keystore does, and all else of it. Keyrings are read from memory here, and not from disk.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { ArchiveMaker, escrowSlot } from '@holdfast/archive/testing';
import { formatUuid, newId, systemClock } from '@holdfast/base';
import {
  bringTestKeystore,
  escrowKeysOf,
  makeWorld,
  startTestCloud,
  startTestCluster,
  tryTestSlots,
  type TenantWorld,
  type TestCluster,
} from '@holdfast/cloud/testing';
import { writeKeyLogLeaf } from '@holdfast/trust';

const { values } = parseArgs({
  options: { archives: { type: 'string', default: '10000' }, seed: { type: 'string', default: 'holdfast' } },
});
const archives = Number(values.archives);
const batch = 500;

/** The newest keyring of an archive, by the seed of this run. */
type Made = { readonly archiveId: string; readonly record: Uint8Array; readonly sha256: string; readonly leaf: Leaf };
type Leaf = ReturnType<typeof writeKeyLogLeaf>;

function makeArchive(nth: number, escrow: Awaited<ReturnType<typeof escrowKeysOf>>): Made {
  const entropy = createHash('sha256').update(`${values.seed} ${nth}`).digest();
  const maker = new ArchiveMaker(`${values.seed} ${nth}`, new Uint8Array(entropy));
  const time = { seconds: 1_780_000_000, nanoseconds: 0 };
  maker.addEpoch(time);
  maker.slots = [...maker.slots, escrowSlot(maker, escrow)];
  const record = maker.keyring(time).bytes;
  const archiveId = formatUuid(maker.archiveId);
  const sha256 = createHash('sha256').update(record).digest('hex');
  const slots = maker.slots.map(({ slotId, kind }) => ({ slotId: slotId.toHex(), slotKind: kind }));
  const leaf = writeKeyLogLeaf({
    kind: 'keyring_added',
    archiveId,
    keyringNumber: 1,
    keyringSha256: sha256,
    slots,
    at: new Date().toISOString(),
    nonce: entropy.subarray(0, 16).toString('base64url'),
  });
  return { archiveId, record, sha256, leaf };
}

/** Archives with their leaves, many in a statement: only so that they are there. */
async function fill(cluster: TestCluster, world: TenantWorld): Promise<ReadonlyMap<string, Uint8Array>> {
  const { tenantUid: tenantId } = world.tenant;
  const escrow = await escrowKeysOf(world);
  const run = (statement: string, parameters: readonly unknown[]) =>
    cluster.asSuperuser(world.cloud.testDatabase.target.database, statement, parameters);
  const records = new Map<string, Uint8Array>();
  for (let have = 0; have < archives; have += batch) {
    const made = Array.from({ length: Math.min(batch, archives - have) }, (_, nth) => makeArchive(have + nth, escrow));
    for (const { sha256, record } of made) records.set(sha256, record);
    const devices = made.map(() => newId());
    await run(
      `insert into devices (tenant_id, device_id, org_id, name, public_jwk, key_thumbprint, created_at, modified_at)
       select $1, d, $3, 'one of many', '{}', d::text, now(), now() from unnest($2::uuid[]) d`,
      [tenantId, devices, world.rootOrgId],
    );
    await run(
      `insert into archives (tenant_id, archive_id, device_id, session_epoch, next_fragment, log_state, stored_bytes, created_at, modified_at)
       select $1, a, d, 1, 1, jsonb_build_object('keyring', jsonb_build_object('sha256', h)), 0, now(), now()
       from unnest($2::uuid[], $3::uuid[], $4::text[]) x(a, d, h)`,
      [tenantId, made.map(({ archiveId }) => archiveId), devices, made.map(({ sha256 }) => sha256)],
    );
    await run(
      'insert into key_log_leaves (tenant_id, body, outline) select $1, b, o from unnest($2::text[], $3::bytea[]) x(b, o)',
      [tenantId, made.map(({ leaf }) => leaf.text), made.map(({ leaf }) => Buffer.from(leaf.outline))],
    );
  }
  await run(
    `insert into key_log_subjects (tenant_id, subject, log_index)
     select tenant_id, 'archive:' || (body::jsonb ->> 'archiveId'), log_index from key_log_leaves
     where tenant_id = $1 and keyring_sha256 is not null`,
    [tenantId],
  );
  await run('analyze', []);
  return records;
}

const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const cluster = await startTestCluster();
const cloud = await startTestCloud(cluster);
try {
  const world = await makeWorld(cloud, 'measured');
  const records = await fill(cluster, world);
  const before = processorSeconds();
  await bringTestKeystore(world);
  print(`${archives} archives, seed "${values.seed}"`);
  print(`the log of their leaves shown to the keystore: ${(processorSeconds() - before).toFixed(1)} s of a processor`);
  const begunMs = systemClock.now();
  const [all, used] = [processorSeconds(), { keystore: 0, asked: 0 }];
  const outcomes = await tryTestSlots(world, {
    readKeyring: (_, sha256) => Promise.resolve(records.get(sha256)),
    around: async (ask) => {
      const from = processorSeconds();
      const answer = await ask();
      used.keystore += processorSeconds() - from;
      used.asked += 1;
      return answer;
    },
  });
  const rest = processorSeconds() - all - used.keystore;
  if (outcomes['opens'] !== archives) throw new Error(`not every slot opened: ${JSON.stringify(outcomes)}`);
  const seconds = (systemClock.now() - begunMs) / 1_000;
  print(
    `every slot tried: the keystore ${used.keystore.toFixed(1)} s in ${used.asked} questions, all else ${rest.toFixed(1)} s, ${seconds.toFixed(0)} s by the clock`,
  );
} finally {
  await cloud.stop();
  await cluster.stop();
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
