import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { emptyTree, noteSigner, readTreeState, rootOf, signCheckpoint, type NoteSigner } from '@holdfast/trust';
import { deviceProof, makeWorld, sendRaw, startForFile, type TenantWorld } from '../../testing.ts';
import { append } from '../../testing/key-log-leaves.ts';
import { nodeSource, openLogSigner, originOf } from '../logs/index.ts';

const { cluster, cloud } = await startForFile();
const { installationId } = cloud.api;

/** A tenant with a log of some leaves, a device of it, and the key that signs its heads. */
async function makeScene(slug: string) {
  const world = await makeWorld(cloud, slug);
  const { tenantUid: tenantId } = world.tenant;
  const fact = { kind: 'key_ended', deviceUid: tenantId, publicKey: 'A'.repeat(43), archiveId: null } as const;
  for (let leaves = 0; leaves < 4; leaves++) await append(world, fact);
  const proof = await deviceProof(world, 'api');
  const { treeSize: size } = await world.cloud.clientOf(world.tenant).keyLog.head();
  const beat = async (keyLogHead?: string) => {
    const path = '/v1/devices/heartbeat';
    const headers = { ...(await proof({ method: 'POST', path })), 'content-type': 'application/json' };
    const body = JSON.stringify({ agentVersion: '1', os: 'Linux', keyLogHead });
    const reply = await sendRaw(cloud.url, { method: 'POST', path, headers, body });
    assert.equal(reply.status, 200, reply.text);
  };
  return { world, size, beat, signer: await signerOf(world), verdicts: () => verdictsOf(world) };
}

function signerOf({ tenant: { tenantUid: tenantId } }: TenantWorld): Promise<NoteSigner> {
  const kms = cloud.kms.forRole('api');
  const transact = <T>(work: (ctx: never) => Promise<T>) =>
    cloud.database.withTenant(tenantId, (tx) => work({ tx } as never));
  return openLogSigner({ kms, installationId, tenantId, transact } as never);
}

/** What the audit log says of heads that were refused. */
async function verdictsOf({ tenant }: TenantWorld): Promise<readonly unknown[]> {
  const { entries } = await cloud.clientOf(tenant).audit.entries({ query: { limit: '1000' } });
  return entries
    .map(({ entry }) => JSON.parse(entry) as { eventType: string; facts?: { verdict?: string } })
    .filter(({ eventType }) => eventType === 'key_log.head_refused')
    .map(({ facts }) => facts?.verdict);
}

/** A head of some size, over the leaves that are there or over others. */
async function headOf(
  { tenant: { tenantUid: tenantId } }: TenantWorld,
  { size, signer, root }: { readonly size: number; readonly signer: NoteSigner; readonly root?: Uint8Array },
): Promise<string> {
  const of = { tenantId, log: 'key' } as const;
  const state = await cloud.database.withTenant(tenantId, (tx) => readTreeState(nodeSource(tx, of), size));
  return signCheckpoint({ origin: originOf(installationId, of), treeSize: size, root: root ?? rootOf(state) }, [
    signer,
  ]);
}

test('a head that a device verified is taken where it is of this log, of any size, and no head is no fault', async () => {
  const { world, size, beat, signer, verdicts } = await makeScene('honest');
  const { note } = await cloud.clientOf(world.tenant).keyLog.head();
  await beat(note);
  await beat();
  for (let earlier = 1; earlier <= size; earlier++) await beat(await headOf(world, { size: earlier, signer }));
  assert.deepEqual(await verdicts(), []);
});

test('a head over other leaves, of a longer log or of a strange key goes to the audit log', async () => {
  const { world, size, beat, signer, verdicts } = await makeScene('forked');
  const root = rootOf(emptyTree);
  const strange = noteSigner(signer.key.name, generateKeyPairSync('ed25519').privateKey);
  const { note: genuine } = await cloud.clientOf(world.tenant).keyLog.head();
  const refused = [
    ['forked', await headOf(world, { size, signer, root })],
    ['forked', await headOf(world, { size: 2, signer, root })],
    ['longer', signCheckpoint({ ...bodyOf(genuine), treeSize: size + 1 }, [signer])],
    ['not_signed_here', await headOf(world, { size, signer: strange })],
    ['not_signed_here', genuine.replace(/\n\d+\n/, '\n1\n')],
    ['not_signed_here', 'no note'],
  ] as const;
  for (const [, note] of refused) {
    await beat(note);
    await beat(genuine);
  }
  assert.deepEqual(
    await verdicts(),
    refused.map(([verdict]) => verdict),
  );
});

test('a log that was set back, or lost a part, is not the one of a head that it signed', async () => {
  const { world, size, beat, signer, verdicts } = await makeScene('set-back');
  const { note } = await cloud.clientOf(world.tenant).keyLog.head();
  const earlier = await headOf(world, { size: size - 1, signer });
  await beat(note);
  assert.deepEqual(await verdicts(), []);
  const of = `tenant_id = '${world.tenant.tenantUid}' and log = 'key'`;
  const run = (statement: string) => cluster.asSuperuser(cloud.testDatabase.target.database, statement);
  await run(`delete from log_nodes where ${of} and node_index = 0`);
  await beat(earlier);
  await run(`update log_heads set tree_size = ${size - 1} where ${of}`);
  await beat(note);
  assert.deepEqual(await verdicts(), ['forked', 'longer']);
});

/** What a head says, but for its size. */
function bodyOf(note: string) {
  const [origin = '', , root = ''] = note.split('\n');
  return { origin, root: Uint8Array.fromBase64(root) };
}
