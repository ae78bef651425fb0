import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCheckpoint, openNote, keyLogOrigin, parseEscrowKeys, parseVerifierKey } from '@holdfast/trust';
import { deviceProof, makeWorld, sendRaw, startForFile, type TenantWorld } from '../../testing.ts';
import { append } from '../../testing/key-log-leaves.ts';
import { findEscrowKeys } from '../escrow/index.ts';
import { keepFollowedHead } from './show-keystore.ts';

const { cloud } = await startForFile();
const { installationId } = cloud.api;
const { database, kms, bootstrap, clock } = cloud;
const deps = { database, kms: kms.forRole('api'), installationId, clock, keystore: bootstrap.keystore };

const grow = (world: TenantWorld) =>
  append(world, { kind: 'key_ended', deviceUid: world.tenant.tenantUid, publicKey: 'A'.repeat(43), archiveId: null });

type Head = { readonly treeSize: number; readonly followed?: { readonly treeSize: number; readonly note: string } };

/** The head as a device reads it. */
async function headOf(world: TenantWorld): Promise<Head> {
  const path = '/v1/key-log/own/head';
  const proof = await deviceProof(world, 'api');
  const reply = await sendRaw(cloud.url, { method: 'GET', path, headers: await proof({ method: 'GET', path }) });
  assert.equal(reply.status, 200, reply.text);
  return reply.json as Head;
}

test('devices and administrators are shown the head that the keystore has followed and signed, and the last until there is a longer one', async () => {
  const world = await makeWorld(cloud, 'followed');
  const { tenantUid: tenantId } = world.tenant;
  await grow(world);
  assert.equal((await headOf(world)).followed, undefined);
  await keepFollowedHead(deps, tenantId);
  const first = await headOf(world);
  assert.equal(first.followed?.treeSize, first.treeSize);
  const document = await database.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));
  const { keystoreVerifier } = parseEscrowKeys(document ?? '');
  const { note } = first.followed;
  assert.equal(openNote(note, [parseVerifierKey(keystoreVerifier)]).signedBy.length, 1);
  const { verifier } = await cloud.clientOf(world.tenant).keyLog.head();
  const head = openCheckpoint(note, keyLogOrigin(installationId, tenantId), [parseVerifierKey(verifier)]);
  assert.equal(head.treeSize, first.treeSize);
  await grow(world);
  const grown = await headOf(world);
  assert.deepEqual([grown.treeSize, grown.followed], [first.treeSize + 1, first.followed]);
  await Promise.all([keepFollowedHead(deps, tenantId), keepFollowedHead(deps, tenantId)]);
  assert.equal((await headOf(world)).followed?.treeSize, grown.treeSize);
  assert.equal((await cloud.clientOf(world.tenant).keyLog.head()).followed?.treeSize, grown.treeSize);
});

test('a head that the keystore signed is kept once, and the key is not opened for it again', async (t) => {
  const world = await makeWorld(cloud, 'followed-once');
  await grow(world);
  const signing = t.mock.method(bootstrap.keystore, 'cosignHead');
  for (let times = 0; times < 3; times++) await keepFollowedHead(deps, world.tenant.tenantUid);
  assert.equal(signing.mock.callCount(), 1);
});
