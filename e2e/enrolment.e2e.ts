import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { enroll, EnrollmentStore, heartbeat } from '@holdfast/agent/cloud';
import { CodedError, systemClock } from '@holdfast/base';
import type { EnrollmentToken } from '@holdfast/contract';
import { parseEscrowKeys } from '@holdfast/trust';
import { type AgentOfDevice, startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { sha256Of } from './example-log.ts';
import { until } from './process-tree.ts';
import { aboutDevice, enrollDevice, newFolder, startRunningCloud } from './running-cloud.ts';

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

function tryToEnroll(t: TestContext, token: EnrollmentToken, url?: string) {
  const tokenText = JSON.stringify(token);
  return enroll({ ...aboutDevice, tokenText, ...(url && { url }) }, new EnrollmentStore(newFolder(t)));
}

test('a device enrols with a token, keeps a key that only it can read, and is heard', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const device = await enrollDevice(t, tenant);
  const file = path.join(device.stateDir, 'enrollment.json');
  assert.equal(statSync(file).mode & 0o7777, 0o600);
  assert.deepEqual(device.store.load(), device.enrollment);
  assert.equal(device.enrollment.tenantUid, tenant.tenantUid);
  const escrowKeys = parseEscrowKeys(device.enrollment.escrowKeys);
  assert.deepEqual([escrowKeys.tenantUid, escrowKeys.number], [tenant.tenantUid, 1]);
  const word = await heartbeat(device.client, { agentVersion: '0.1.0', os: 'Linux' });
  assert.equal(word.orgUid, device.enrollment.orgUid);
  assert.ok(word.settings.backupSets.length > 0);
  assert.equal(
    await codeOf(enroll({ ...aboutDevice, tokenText: JSON.stringify(await tenant.invite()) }, device.store)),
    'cloud_link.already_enrolled',
  );
});

test('used, expired, revoked, foreign and broken tokens are refused, good ones between them are not', async (t) => {
  let skewMs = 0;
  const clock = {
    now: () => Date.now() + skewMs,
    monotonic: () => performance.now() + skewMs,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms, signal),
  };
  const { addTenant, cloud } = await startRunningCloud(t, { edges: { clock } });
  const tenant = await addTenant('home');
  const once = await tenant.invite();
  await tryToEnroll(t, once, cloud.url);
  assert.equal(await codeOf(tryToEnroll(t, once)), 'enrollment.token_used');
  const twice = await tenant.invite(2);
  await tryToEnroll(t, twice);
  await tryToEnroll(t, twice);
  assert.equal(await codeOf(tryToEnroll(t, twice)), 'enrollment.token_used');

  const made = await tenant.client.enrollmentTokens.create({ body: { uses: 5, days: 1 } });
  await tryToEnroll(t, made.enrollmentToken);
  await tenant.client.enrollmentTokens.revoke({ params: { tokenId: made.tokenId } });
  assert.equal(await codeOf(tryToEnroll(t, made.enrollmentToken)), 'enrollment.token_revoked');

  const short = await tenant.invite(5);
  await tryToEnroll(t, short);
  skewMs = 86_400_000 + 1_000;
  assert.equal(await codeOf(tryToEnroll(t, short)), 'enrollment.token_expired');
  skewMs = 0;
  await tryToEnroll(t, short);

  const good = await tenant.invite(9);
  const wrong: readonly (readonly [Partial<EnrollmentToken> & Record<string, unknown>, string])[] = [
    [{ token: 'A'.repeat(43) }, 'enrollment.token_unknown'],
    [{ installationId: '00000000-0000-4000-8000-000000000000' }, 'enrollment.proof_invalid'],
    [{ logKeySha256: '0'.repeat(64) }, 'cloud_link.log_key_mismatch'],
    [{ escrowKeysSha256: '0'.repeat(64) }, 'cloud_link.escrow_keys_mismatch'],
    [
      { escrowKeysSha256: (await (await addTenant('other')).invite()).escrowKeysSha256 },
      'cloud_link.escrow_keys_mismatch',
    ],
    [{ tenantUid: '00000000-0000-4000-8000-000000000000' }, 'cloud_link.escrow_keys_mismatch'],
    [{ escrowKeysSha256: undefined as never }, 'cloud_link.token_invalid'],
    [{ caSha256: 'f'.repeat(64) }, 'cloud_link.ca_mismatch'],
    [{ caSha256: null }, 'certificate.untrusted'],
    [{ url: cloud.url.replace('https', 'http') }, 'cloud_link.token_invalid'],
    [{ version: 2 as never }, 'cloud_link.token_invalid'],
    [{ extra: 1 }, 'cloud_link.token_invalid'],
  ];
  for (const [change, code] of wrong) {
    assert.equal(await codeOf(tryToEnroll(t, { ...good, ...change })), code, JSON.stringify(change));
    await tryToEnroll(t, await tenant.invite());
  }
  assert.equal(await codeOf(tryToEnroll(t, good, 'https://elsewhere.example')), 'cloud_link.other_address');
  await tryToEnroll(t, good, `${cloud.url}/`);
});

test('nothing is sent to a server whose CA is another', async (t) => {
  const [ours, theirs] = [await startRunningCloud(t), await startRunningCloud(t)];
  const tenant = await ours.addTenant('home');
  const token = await tenant.invite();
  const astray = { ...token, url: theirs.cloud.url };
  assert.equal(await codeOf(tryToEnroll(t, astray)), 'cloud_link.ca_mismatch');
  await tryToEnroll(t, token);
});

test('one key is one device: a lost answer is given again, a second device with the key is refused', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const token = await tenant.invite(3);
  const first = await enrollDevice(t, tenant, { token });
  // The answer was lost: what was kept before it was sent is there, what came after is not.
  const { deviceKey } = first.enrollment;
  const lost = new EnrollmentStore(newFolder(t));
  const tokenText = JSON.stringify(token);
  await enroll({ ...aboutDevice, tokenText }, lost);
  const kept = lost.load()!;
  const clone = new EnrollmentStore(newFolder(t));
  const tokenSha256 = sha256Of(Buffer.from(token.token));
  clone.savePending({ version: 1, tokenSha256, deviceKey, attempt: 'A'.repeat(22) });
  assert.equal(await codeOf(enroll({ ...aboutDevice, tokenText }, clone)), 'devices.key_taken');
  const list = await tenant.client.enrollmentTokens.list();
  assert.equal(list.enrollmentTokens[0]?.usesLeft, 1, 'a refusal takes no use');
  assert.notEqual(kept.deviceUid, first.enrollment.deviceUid);
});

test('an enrolment whose answer was lost goes on with the same device and takes no second use', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const token = await tenant.invite(1);
  const tokenText = JSON.stringify(token);
  const stateDir = newFolder(t);
  const store = new EnrollmentStore(stateDir);
  const badLogKey = JSON.stringify({ ...token, logKeySha256: '0'.repeat(64) });
  // The server takes the device in, and the agent cannot use the answer.
  assert.equal(await codeOf(enroll({ ...aboutDevice, tokenText: badLogKey }, store)), 'cloud_link.log_key_mismatch');
  assert.equal(store.load(), undefined);
  const again = await enroll({ ...aboutDevice, tokenText }, store);
  assert.equal((await tenant.client.enrollmentTokens.list()).enrollmentTokens[0]?.usesLeft, 0);
  assert.equal(store.loadPending(), undefined);
  assert.ok(again.deviceUid);
});

test('an enrolment that others can read or that is damaged is refused, until it is whole and private', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const device = await enrollDevice(t, await addTenant('home'));
  const file = path.join(device.stateDir, 'enrollment.json');
  for (const mode of [0o640, 0o604, 0o666]) {
    chmodSync(file, mode);
    assert.throws(() => device.store.load(), { code: 'cloud_link.state_exposed' });
  }
  chmodSync(file, 0o600);
  const text = readFileSync(file, 'utf8');
  const { escrowKeys: _, ...earlier } = JSON.parse(text) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify(earlier));
  assert.throws(() => device.store.load(), { code: 'cloud_link.enrolled_without_escrow' });
  for (const broken of [text.slice(0, -9), '{}', '', text.replace('"version":1', '"version":9')]) {
    writeFileSync(file, broken);
    assert.throws(() => device.store.load(), { code: 'cloud_link.state_damaged' });
  }
  writeFileSync(file, text);
  assert.deepEqual(device.store.load(), device.enrollment);
});

test('where the enrolment is damaged or from before escrow, folders are protected, and enrolling anew mends it', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const device = await enrollDevice(t, tenant);
  const { stateDir } = device;
  const file = path.join(stateDir, 'enrollment.json');
  const [files, folder] = [newFolder(t), newFolder(t)];
  const start = () => startAgentOf(t, device, { files });
  const first = await start();
  await first.ask('destination.add', { folder });
  await first.ask('backup');
  await first.agent.stop();
  const stateAt = async (agent: AgentOfDevice, isCloud: boolean) => {
    const { standings } = await statusOf(agent);
    return standings.find(({ destination }) => (destination !== folder) === isCloud);
  };
  const text = readFileSync(file, 'utf8');
  const { escrowKeys: _, ...earlier } = JSON.parse(text) as Record<string, unknown>;
  for (const [round, broken] of [text.slice(0, -9), JSON.stringify(earlier)].entries()) {
    writeFileSync(file, broken);
    const agent = await start();
    writeFileSync(path.join(files, `file ${round}`), 'content');
    await agent.ask('backup');
    assert.equal((await stateAt(agent, false))?.state, 'protected');
    const cloud = await stateAt(agent, true);
    assert.equal(cloud?.state, 'failed');
    assert.match(cloud.remedy ?? '', /holdfast agent enroll URL --token-file FILE/);
    await agent.agent.stop();
    // What the remedy says, to its end.
    const tokenText = JSON.stringify(await tenant.invite());
    const again = await enroll({ ...aboutDevice, tokenText }, device.store);
    assert.notEqual(again.deviceUid, device.enrollment.deviceUid);
    assert.deepEqual(device.store.load(), again);
    assert.equal(readFileSync(`${file}.aside-${round + 1}`, 'utf8'), broken, 'nothing was lost');
    const mended = await start();
    await mended.ask('backup');
    assert.equal((await stateAt(mended, false))?.state, 'protected');
    const refused = async () => (await stateAt(mended, true))?.state === 'failed';
    if (round === 0) await until(refused, 'the server says that an older device has the archive');
    if (round === 0)
      assert.match((await stateAt(mended, true))?.remedy ?? '', /of an older device: keep it in a folder/);
    await mended.agent.stop();
  }
  // And where a new archive is begun, the server takes it.
  const fresh = await enrollDevice(t, tenant);
  const agent = await startAgentOf(t, fresh, { files });
  await agent.ask('backup');
  const { standings } = await statusOf(agent);
  assert.deepEqual(
    standings.map(({ state }) => state),
    ['protected'],
  );
});

test('an enrolment that others could read is not set aside by enrolling anew', async (t) => {
  const { addTenant } = await startRunningCloud(t);
  const tenant = await addTenant('home');
  const device = await enrollDevice(t, tenant);
  chmodSync(path.join(device.stateDir, 'enrollment.json'), 0o644);
  const tokenText = JSON.stringify(await tenant.invite());
  assert.equal(await codeOf(enroll({ ...aboutDevice, tokenText }, device.store)), 'cloud_link.state_exposed');
});
