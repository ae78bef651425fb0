import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escrowKeysSha256, expectOutline, formatEscrowKeys, isAbout, parseEscrowKeys, subject } from '@holdfast/trust';
import type { NewTenant } from '../../bootstrap.ts';
import type { Kms } from '../../platform/kms.ts';
import { leavesOf } from '../../testing/key-log-leaves.ts';
import { startForFile } from '../../testing/test-server.ts';
import {
  addEscrowKeys,
  ensureEscrowKeys,
  findEscrowKeys,
  listTenantsWithoutEscrowKeys,
  prepareEscrowKeys,
} from './index.ts';

const { cluster, cloud } = await startForFile();
const { installationId } = cloud.api;
const deps = { ...cloud.bootstrap, installationId };

const documentOf = (tenantId: string) => cloud.database.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));

/** A tenant as it was made before there were escrow keys. */
async function earlierTenant(slug: string): Promise<NewTenant> {
  const tenant = await cloud.addTenant(slug);
  const { database } = cloud.testDatabase.target;
  await cluster.asSuperuser(database, 'delete from escrow_keys where tenant_id = $1', [tenant.tenantUid]);
  await cluster.asSuperuser(database, 'delete from key_log_subjects where tenant_id = $1', [tenant.tenantUid]);
  await cluster.asSuperuser(database, 'delete from key_log_leaves where tenant_id = $1', [tenant.tenantUid]);
  return tenant;
}

async function leavesAbout(tenant: NewTenant) {
  const leaves = await leavesOf({ cloud, tenant });
  return leaves.filter(({ leaf }) => leaf.kind === 'escrow_keys_set');
}

test('a tenant is made with escrow keys, which a leaf about everybody names by their hash', async () => {
  const tenant = await cloud.addTenant('made');
  const document = (await documentOf(tenant.tenantUid)) ?? '';
  const keys = parseEscrowKeys(document);
  assert.deepEqual([keys.installationId, keys.tenantUid, keys.number], [installationId, tenant.tenantUid, 1]);
  assert.equal(formatEscrowKeys(keys), document);
  const [said, ...more] = await leavesAbout(tenant);
  assert.deepEqual(more, []);
  assert.ok(said?.leaf.kind === 'escrow_keys_set');
  assert.deepEqual([said.leaf.number, said.leaf.sha256], [1, escrowKeysSha256(document)]);
  expectOutline(said.outline, said.leaf);
  assert.ok(isAbout(said.outline, [subject.everyone]));
});

test('a tenant without escrow keys gets some once, from however many sides', async () => {
  const tenant = await earlierTenant('earlier');
  const { tenantUid: tenantId } = tenant;
  const listed = () => cloud.system.withoutTenant((tx) => listTenantsWithoutEscrowKeys(tx));
  assert.deepEqual(await listed(), [tenantId], 'not the installation\u2019s own');
  const given = await Promise.all([1, 2, 3, 4].map(() => ensureEscrowKeys(deps, tenantId)));
  assert.equal(given.filter(Boolean).length, 1);
  assert.deepEqual(await listed(), []);
  const document = await documentOf(tenantId);
  assert.equal(await ensureEscrowKeys(deps, tenantId), false);
  assert.equal(await documentOf(tenantId), document);
  assert.equal((await leavesAbout(tenant)).length, 1);
});

test('what was cut off between the keystore and here, or within the transaction here, is done whole by the next try', async () => {
  const tenant = await earlierTenant('cut');
  const { tenantUid: tenantId } = tenant;
  const broken: Kms = { ...deps.kms, wrap: () => Promise.reject(new Error('cut off')) };
  await assert.rejects(ensureEscrowKeys({ ...deps, kms: broken }, tenantId), /cut off/);
  const { logVerifier, keys } = await deps.keystore.publicKeys({ tenantUid: tenantId });
  const prepared = await prepareEscrowKeys(deps, { tenantId, logVerifier });
  const undone = cloud.system.withTenant(tenantId, async (tx) => {
    assert.equal(await addEscrowKeys(tx, { tenantId, at: new Date() }, prepared), true);
    throw new Error('killed');
  });
  await assert.rejects(undone, /killed/);
  assert.equal(await documentOf(tenantId), undefined);
  assert.deepEqual(await leavesAbout(tenant), []);
  assert.equal(await ensureEscrowKeys(deps, tenantId), true);
  const { keystoreKey, keystoreVerifier } = parseEscrowKeys((await documentOf(tenantId)) ?? '');
  assert.deepEqual(keys, [{ number: 1, keystoreKey, keystoreVerifier }]);
  assert.equal((await leavesAbout(tenant)).length, 1);
});

test('the log sealing key that was made is overwritten once it is wrapped', async () => {
  const { tenantUid: tenantId } = await cloud.addTenant('overwritten');
  const { logVerifier } = await deps.keystore.publicKeys({ tenantUid: tenantId });
  const held: Uint8Array[] = [];
  const kms: Kms = {
    ...deps.kms,
    wrap(secret, context) {
      held.push(secret);
      assert.ok(secret.some((byte) => byte !== 0));
      return deps.kms.wrap(secret, context);
    },
  };
  await prepareEscrowKeys({ ...deps, kms }, { tenantId, logVerifier });
  assert.equal(held.length, 1);
  assert.ok(held[0]?.every((byte) => byte === 0));
});
