import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { deriveKeyRing } from '@holdfast/archive';
import { systemClock } from '@holdfast/base';
import { openEscrowInner, openSlotWithKey } from '@holdfast/trust';
import { afterwards } from '@holdfast/testing';
import { startCloud, type Cloud } from '../app.ts';
import { createTenant } from '../bootstrap.ts';
import { readCloudConfig } from '../config.ts';
import { MASTER_KEY_FILE } from '../open-kms.ts';
import { openKeyFileKms } from '../platform/kms-file.ts';
import { silentLog } from '../platform/log.ts';
import { openTenantEscrow } from '../testing/tenant-escrow.ts';
import { keystoreClient } from './client.ts';
import { foundInMemory } from './memory-of.fixture.ts';
import { makeTenantOf, openAnswer } from '../testing/release-tenant.ts';
import type { ReleasePlan } from './release-scene.fixture.ts';

/** A whole server with its keystore in a process of its own, and a tenant whose device asks. */
async function start(t: TestContext) {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast releases '));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  const homeDir = path.join(folder, 'home');
  const config = readCloudConfig({ HOLDFAST_HOME: homeDir, HOLDFAST_LISTEN: '127.0.0.1:0' });
  const cloud = await startCloud(config, { log: silentLog });
  afterwards(t, () => cloud.stop());
  const { system: database, kms } = cloud.bootstrap;
  // Whoever is not answered for as long as a restart takes asks again.
  const keystore = keystoreClient(homeDir, { attempts: 300, firstDelayMs: 100, maxDelayMs: 500 });
  const about = { database, kms, clock: systemClock, installationId: cloud.api.installationId, keystore };
  const addTenant = (slug: string) => createTenant(cloud.bootstrap, { slug, name: slug, adminUsername: 'admin' });
  const tenant = await makeTenantOf({ ...about, addTenant }, 'releases');
  return { cloud, homeDir, keystore, tenant };
}

const inAnHour = () => new Date(systemClock.now() + 3_600_000).toISOString();
const pidOf = (cloud: Cloud) => cloud.keystore.process.pid()!;
const needsRoot = process.platform !== 'linux' || process.getuid?.() !== 0;

test(
  'a second after twenty releases no key of the archive is in the memory of the keystore, raw or as text',
  { skip: needsRoot && 'needs root on Linux: nobody else looks into its memory', timeout: 240_000 },
  async (t) => {
    const { cloud, homeDir, keystore, tenant } = await start(t);
    const { archive, device } = tenant;
    const place = { archiveId: archive.keys.archiveId, keyringNumber: archive.keys.keyring.number };
    const { keystoreKey } = await openTenantEscrow(homeDir, tenant.tenantId);
    const slotKey = openEscrowInner(archive.slot, place.archiveId, await tenant.layer(), keystoreKey);
    const secrets = new Map([
      ['slot key', slotKey],
      ['ring key', openSlotWithKey(archive.slot, place, slotKey)!],
    ]);
    for (const { number, key } of archive.keys.ring.epochs) secrets.set(`epoch ${number}`, key);
    for (const [number, { data, metadata }] of deriveKeyRing(place.archiveId, archive.keys.ring.epochs))
      secrets.set(`data ${number}`, data).set(`metadata ${number}`, metadata);
    for (let count = 0; count < 20; count++) {
      const plan: ReleasePlan = { requester: device, request: { epochs: 'all', expiresAt: inAnHour() } };
      const asked = await tenant.ask(plan);
      openAnswer(asked, tenant.recipient, await keystore.release(await tenant.bodyOf(asked)));
    }
    await systemClock.sleep(900);
    assert.deepEqual(foundInMemory(pidOf(cloud), secrets), []);
    // What is there is found: the key of its role, with which it opens its own.
    const kms = await openKeyFileKms(path.join(homeDir, MASTER_KEY_FILE), { nowMs: 0 });
    const own = new Map([['role key', kms.roleKeys('keystore')[0]!.key]]);
    assert.deepEqual(foundInMemory(pidOf(cloud), own), ['role key']);
  },
);

test(
  'a keystore that is killed at any moment of a release has lost nothing, and releases no request twice',
  { timeout: 240_000 },
  async (t) => {
    const { cloud, keystore, tenant } = await start(t);
    const { device, recipient } = tenant;
    // Each restart is waited for twice as long as the one before.
    const delaysMs = [0, 4, 9, 15];
    for (const delayMs of delaysMs) {
      const plan: ReleasePlan = { requester: device, request: { expiresAt: inAnHour() } };
      const asked = await tenant.ask(plan);
      const other = { ...(await tenant.ask({ ...plan, leaf: { request: asked.request } })), request: asked.request };
      const head = await tenant.bring();
      const [body, twice] = [await tenant.bodyOf(asked, head), await tenant.bodyOf(other, head)];
      const answering = keystore.release(body);
      const pid = pidOf(cloud);
      await systemClock.sleep(delayMs);
      process.kill(pid, 'SIGKILL');
      // Asked again by itself: the same leaf, and so the same keys for the same recipient.
      const keys = openAnswer(asked, recipient, await answering);
      assert.deepEqual(keys.scope === 'read' && keys.epochs.map(({ epoch }) => epoch), [0, 2]);
      await assert.rejects(keystore.release(twice), { code: 'keystore.used' });
      assert.notEqual(await keystore.checkReadiness(), undefined);
    }
    assert.ok((await keystore.followed({ tenantUid: tenant.tenantId })).treeSize > 2 * delaysMs.length);
  },
);
