import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseKeyLogLeaf } from '@holdfast/trust';
import { startAgentOf } from './agent-of-device.ts';
import { archiveFolder, hasty } from './escrowed-device.ts';
import { holdfast, holdfastJson, recovered } from './holdfast-command.ts';
import { until } from './process-tree.ts';
import { command, done, makePerson, type Person } from './release-people.ts';
import { enrollDevice, newFolder, startRunningCloud, type AdministeredTenant } from './running-cloud.ts';

/** A server with a tenant whose first key is that of a person who may approve, and an agent with two epochs of files. */
async function makeScene(t: TestContext) {
  const running = await startRunningCloud(t);
  const { homeDir } = running;
  const tenant = await running.addTenant('home');
  const place = { homeDir, folder: newFolder(t) };
  const anna = await makePerson(place, { tenant: 'home', name: 'anna', approver: true });
  const device = await enrollDevice(t, tenant);
  const agent = await startAgentOf(t, device, { clock: hasty });
  const { ask, files, socketPath } = agent;
  writeFileSync(path.join(files, 'first'), 'of the first epoch');
  await until(async () => (await kindsOf(tenant)).includes('keyring_added'), 'the archive at the server', 60_000);
  await ask('backup');
  // The second code strikes the first: an epoch begins.
  for (let codes = 0; codes < 2; codes += 1) {
    const { code } = (await ask('key.show-recovery')) as { readonly code: string };
    await ask('key.confirm-recovery', { code });
  }
  writeFileSync(path.join(files, 'second'), 'of the second epoch');
  await ask('backup');
  const { archiveId } = (await ask('key.list')) as { readonly archiveId: string };
  const folder = archiveFolder(running, tenant, archiveId);
  return { running, homeDir, tenant, place, anna, device, agent, folder, socketPath };
}

async function leavesOf({ client }: AdministeredTenant) {
  const { leaves } = await client.keyLog.leaves({ query: {} });
  return leaves.map(({ body }) => parseKeyLogLeaf(body));
}

async function kindsOf(tenant: AdministeredTenant): Promise<readonly string[]> {
  return (await leavesOf(tenant)).map(({ kind }) => kind);
}

type Notices = {
  readonly keyLog?: {
    readonly followedByKeystore?: number;
    readonly faults?: readonly unknown[];
    readonly notices: readonly { readonly kind: string; readonly message: string }[];
  };
};

/** Somebody asks, somebody approves, and the first takes it into a file. */
async function release(
  homeDir: string,
  { asker, approver, out, epochs }: { asker: Person; approver: Person; out: string; epochs: string },
): Promise<void> {
  const about = ['--archive', 'laptop', '--reason', 'the disk is gone', '--epochs', epochs];
  const asked = await done(homeDir, ['key', 'release', 'request', '--key', asker.keyFile, ...about]);
  assert.equal(asked['state'], 'asked');
  const name = String(asked['requestSha256']);
  const part = ['key', 'release', 'approve', name.slice(0, 16), '--key', approver.keyFile];
  assert.notEqual((await command(homeDir, part)).status, 0, 'a part of the hash is not enough to approve');
  const early = await command(homeDir, ['key', 'release', 'take', name, '--key', asker.keyFile, '--out', out]);
  assert.equal((early.value['error'] as unknown as { code: string }).code, 'releases.waiting');
  const approved = await done(homeDir, ['key', 'release', 'approve', name, '--key', approver.keyFile]);
  assert.equal(approved['state'], 'granted');
  await done(homeDir, ['key', 'release', 'take', name, '--key', asker.keyFile, '--out', out]);
}

test('a request that a person approves is a leaf, gives keys that recover exactly those epochs, and is on the screen of the owner within 60 s', async (t) => {
  const scene = await makeScene(t);
  const { homeDir, place, anna, tenant, folder, socketPath } = scene;
  const ben = await makePerson(place, { tenant: 'home', name: 'ben' });
  const wanted = ['key', 'release', 'request', '--key', ben.keyFile, '--archive', 'laptop', '--reason', 'why'];
  const young = await command(homeDir, wanted);
  assert.equal((young.value['error'] as unknown as { code: string }).code, 'releases.refused');
  assert.match(young.text, /keystore\.young_key/);
  const vouch = ['--public-key', ben.publicKey, '--user', ben.userUid];
  await done(homeDir, ['key', 'person', 'vouch', anna.keyFile, ...vouch]);
  const dry = await done(homeDir, [...wanted, '--dry-run']);
  assert.equal(dry['dryRun'], true);

  const out = path.join(place.folder, 'first keys');
  await release(homeDir, { asker: ben, approver: anna, out, epochs: '0' });
  const releasedAtMs = Date.now();
  const leaf = (await leavesOf(tenant)).find(({ kind }) => kind === 'release');
  assert.equal(leaf?.kind === 'release' && leaf.approvals.length, 1);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  assert.match(
    readFileSync(out, 'utf8'),
    /^holdfast-read-keys-v1\narchive [0-9a-f]{32}\nepoch 0 1 [0-9a-f]{64} [0-9a-f]{64}\ncheck /,
  );
  assert.deepEqual((await recovered(t, { folder }, ['--read-keys', out])).names, ['first']);
  const all = path.join(place.folder, 'all keys');
  await release(homeDir, { asker: ben, approver: anna, out: all, epochs: 'all' });
  assert.deepEqual((await recovered(t, { folder }, ['--read-keys', all])).names, ['first', 'second']);

  const notices = async () => {
    const { value } = await holdfastJson(socketPath, ['status']);
    return (value as Notices).keyLog?.notices ?? [];
  };
  const isShown = async () => (await notices()).some(({ kind }) => kind === 'release');
  await until(isShown, 'the release on the screen of its owner', Math.max(1, releasedAtMs + 60_000 - Date.now()));
  // What released them signs how far it has followed the log that this computer sees.
  const keyLog = async () => ((await holdfastJson(socketPath, ['status'])).value as Notices).keyLog;
  const isFollowed = async () => ((await keyLog())?.followedByKeystore ?? 0) > 3;
  await until(isFollowed, 'the head that the keystore signed', 90_000);
  assert.deepEqual((await keyLog())?.faults, []);
  const shown = await holdfast(socketPath, ['status']);
  assert.match(shown.stdout, /key release\s+Somebody else was given keys that read the backups of this computer/);
  assert.match(shown.stdout, /the disk is gone/);
  assert.ok(
    (await notices()).some(({ kind }) => kind === 'release_refused'),
    'the refusal is there, too',
  );
  const log = await holdfast(socketPath, ['key', 'log', '--seen']);
  assert.equal(log.status, 0, log.stderr);
  assert.match(log.stdout, /keys of an archive were asked for and are released/);
  assert.deepEqual(
    (await notices()).filter(({ kind }) => kind === 'release_refused'),
    [],
  );
});

test('a computer takes the keys of its own archive without approvals, once its key need not wait', async (t) => {
  const { homeDir, place, anna, device, tenant, folder, socketPath } = await makeScene(t);
  const request = ['key', 'release', 'request', '--reason', 'the keys are lost'];
  const early = await holdfastJson(socketPath, request);
  assert.notEqual(early.status, 0);
  assert.match(early.text, /keystore\.young_key/);
  const { deviceUid, deviceKey } = device.enrollment;
  const vouch = ['--public-key', deviceKey.x, '--device', deviceUid];
  await done(homeDir, ['key', 'person', 'vouch', anna.keyFile, ...vouch]);
  const asked = await holdfastJson(socketPath, request);
  assert.equal(asked.status, 0, asked.text);
  assert.deepEqual([asked.value['purpose'], asked.value['state']], ['own_restore', 'granted']);
  const out = path.join(place.folder, 'own keys');
  const name = String(asked.value['requestSha256']);
  const taken = await holdfastJson(socketPath, ['key', 'release', 'take', name, '--out', out]);
  assert.equal(taken.status, 0, taken.text);
  assert.deepEqual((await recovered(t, { folder }, ['--read-keys', out])).names, ['first', 'second']);
  assert.ok((await kindsOf(tenant)).includes('release'));
  const listed = await holdfast(socketPath, ['key', 'release', 'list']);
  assert.match(listed.stdout, /was opened for who asked/);
});

test('a person of another tenant can do nothing, and neither toggled rules, the requester nor an approver of today help', async (t) => {
  const { running, homeDir, place, anna, tenant } = await makeScene(t);
  await running.addTenant('other');
  const zoe = await makePerson(place, { tenant: 'other', name: 'zoe', approver: true });
  const ben = await makePerson(place, { tenant: 'home', name: 'ben', approver: true });
  await done(homeDir, ['key', 'person', 'vouch', anna.keyFile, '--public-key', ben.publicKey, '--user', ben.userUid]);
  const wanted = (key: string) => ['key', 'release', 'request', '--key', key, '--archive', 'laptop', '--reason', 'why'];
  const asked = await done(homeDir, wanted(ben.keyFile));
  const name = String(asked['requestSha256']);
  const ownerSees = await done(homeDir, ['key', 'release', 'list', '--key', anna.keyFile]);
  assert.equal((ownerSees['releases'] as unknown as object[]).length, 1);
  const before = (await kindsOf(tenant)).length;
  assert.deepEqual((await done(homeDir, ['key', 'release', 'list', '--key', zoe.keyFile]))['releases'], []);
  for (const args of [wanted(zoe.keyFile), ['key', 'release', 'approve', name, '--key', zoe.keyFile]])
    assert.notEqual((await command(homeDir, args)).status, 0);
  assert.equal((await kindsOf(tenant)).length, before);

  const refusals = async () =>
    (await leavesOf(tenant)).flatMap((leaf) => (leaf.kind === 'release_refused' ? [leaf.code] : []));
  assert.notEqual((await command(homeDir, ['key', 'release', 'approve', name, '--key', ben.keyFile])).status, 0);
  assert.deepEqual(await refusals(), ['keystore.self_approval']);
  const cleo = await makePerson(place, { tenant: 'home', name: 'cleo', approver: true });
  assert.notEqual((await command(homeDir, ['key', 'release', 'approve', name, '--key', cleo.keyFile])).status, 0);
  assert.deepEqual(await refusals(), ['keystore.self_approval', 'keystore.young_approver']);
  const change = (approvals: string) => [
    'key',
    'rules',
    'change',
    '--key',
    anna.keyFile,
    '--purpose',
    'other',
    '--approvals',
    approvals,
    '--yes',
  ];
  for (const approvals of ['0', '1', '0']) await done(homeDir, change(approvals));
  const again = await done(homeDir, wanted(ben.keyFile));
  assert.equal(again['state'], 'asked', 'what is weaker waits for a day');
  const rules = await done(homeDir, ['key', 'rules', 'show', '--key', anna.keyFile]);
  const { inForce } = rules as unknown as { inForce: { admin_restore: { approvals: number } } };
  assert.equal(inForce.admin_restore.approvals, 1);
  assert.equal((await kindsOf(tenant)).filter((kind) => kind === 'release_rules').length, 3);
  assert.equal((await done(homeDir, ['key', 'release', 'approve', name, '--key', anna.keyFile]))['state'], 'granted');
});
