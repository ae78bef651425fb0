import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { AwsFault, FakeAwsKms } from '../testing/fake-aws-kms.ts';
import { awsPrincipalOf, startFakeAws } from '../testing/key-services.ts';
import { testKms } from '../testing/kms-suite.ts';
import { openAwsKms, openAwsRoleKms, type AwsKms } from './kms-aws.ts';
import type { RoleAccess } from './role-access.ts';

const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };

let service: Awaited<ReturnType<typeof startFakeAws>>;
let fake: FakeAwsKms;
before(async () => {
  service = await startFakeAws();
  ({ fake } = service);
  Object.assign(process.env, service.environment);
});
after(() => service.stop());

let places = 0;
const nextFile = () => path.join(service.folder, `place ${++places}.json`);
const opened: AwsKms[] = [];
async function open(file: string, profile = 'holdfast-{role}'): Promise<AwsKms> {
  const kms = await openAwsKms(file, { region: fake.region, endpoint: fake.endpoint, profile });
  opened.push(kms);
  return kms;
}
after(async () => {
  for (const kms of opened) await kms.close();
});

testKms({
  name: 'AWS KMS (a fake of it)',
  makePlace: () => {
    const file = nextFile();
    return Promise.resolve({ open: () => open(file) });
  },
});

async function accessOf(kms: AwsKms, role: 'keystore' = 'keystore') {
  const access = await kms.accessFor(role);
  assert.ok(access.kind === 'aws');
  return access;
}

test('credentials of a role open what is of that role, and nothing of another, whatever it is called', async () => {
  const kms = await open(nextFile());
  const own = openAwsRoleKms('keystore', await accessOf(kms), () => Promise.resolve(undefined));
  const wrapped = await own.wrap(secret, context);
  assert.deepEqual(await kms.forRole('keystore').unwrap(wrapped, context), secret);
  assert.deepEqual(await own.unwrap(await kms.forRole('keystore').wrap(secret, context), context), secret);
  const ofApi = await kms.forRole('api').wrap(secret, context);
  assert.deepEqual(await kms.forRole('api').unwrap(ofApi, context), secret);
  await assert.rejects(own.unwrap(ofApi.replace('.api.', '.keystore.'), context), { code: 'kms.not_opened' });
  // Whoever runs code there signs what they like with them.
  const asApi = openAwsRoleKms('api', await accessOf(kms), () => Promise.resolve(undefined));
  for (const attempt of [asApi.unwrap(ofApi, context), asApi.wrap(secret, context)])
    await assert.rejects(attempt, { code: 'kms_remote.denied' });
});

test('what is wrong with credentials is said, and the right ones are taken', async () => {
  const file = nextFile();
  await open(file);
  for (const [profile, code] of [
    ['wrong', 'kms_remote.denied'],
    ['stranger', 'kms_remote.denied'],
    ['not there', 'kms_remote.no_credentials'],
    ['holdfast-storage', 'kms_remote.denied'],
  ] as const)
    await assert.rejects(open(file, profile), { code }, profile);
  await open(file);
});

test('a service that fails for a moment is asked again, and for longer is said to be away, within its time', async () => {
  const kms = (await open(nextFile())).forRole('api');
  const wrapped = await kms.wrap(secret, context);
  const passing: readonly AwsFault[] = [
    { status: 500, type: 'KMSInternalException' },
    { status: 400, type: 'ThrottlingException' },
    { status: 503, type: 'ServiceUnavailable' },
    'drop',
    'hang',
  ];
  for (const fault of passing) {
    fake.faults.push(fault);
    assert.deepEqual(await kms.unwrap(wrapped, context), secret, JSON.stringify(fault));
  }
  for (const [fault, code] of [
    [{ status: 500, type: 'KMSInternalException' }, 'kms_remote.away'],
    [{ status: 400, type: 'ThrottlingException' }, 'kms_remote.throttled'],
    ['drop', 'kms_remote.away'],
    ['hang', 'kms_remote.away'],
  ] as const) {
    fake.faults.push(fault, fault, fault, fault, fault, fault);
    const begunMs = performance.now();
    await assert.rejects(kms.unwrap(wrapped, context), { code, kind: 'unavailable' }, JSON.stringify(fault));
    assert.ok(performance.now() - begunMs < 12_000);
    fake.faults.length = 0;
  }
  assert.deepEqual(await kms.unwrap(wrapped, context), secret);
});

test('a key that is disabled or to be deleted is named so, and opens again once it is enabled', async () => {
  const kms = (await open(nextFile())).forRole('api');
  const wrapped = await kms.wrap(secret, context);
  const [, keyId = ''] = wrapped.split('.');
  const key = [...fake.keys.values()].find(({ arn }) => arn.endsWith(keyId))!;
  for (const state of ['Disabled', 'PendingDeletion'] as const) {
    key.state = state;
    for (const attempt of [kms.unwrap(wrapped, context), kms.wrap(secret, context)])
      await assert.rejects(attempt, { code: 'kms_remote.key_unusable', kind: 'forbidden' });
    key.state = 'Enabled';
    assert.deepEqual(await kms.unwrap(wrapped, context), secret);
  }
});

test('a new key that is not known everywhere yet is waited for', async () => {
  fake.hiddenFor = 2;
  const kms = await open(nextFile());
  await kms.addKeys();
  fake.hiddenFor = 0;
  const wrapped = await kms.forRole('api').wrap(secret, context);
  assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
});

test('keys that are removed are to be deleted, also when it was begun before', async () => {
  const kms = await open(nextFile());
  for (const state of ['Enabled', 'PendingDeletion'] as const) {
    const [before] = await kms.listKeys();
    await kms.addKeys();
    await kms.rewrapOwn();
    const key = [...fake.keys.values()].find(({ arn }) => arn.endsWith(before!.keyId))!;
    assert.equal(key.state, 'Enabled');
    key.state = state;
    await kms.removeKeys([before!.keyId]);
    assert.equal(key.state, 'PendingDeletion');
    const left = (await kms.listKeys()).map(({ keyId }) => keyId);
    assert.equal(left.length, 1);
    assert.ok(!left.includes(before!.keyId));
    assert.equal([...fake.keys.values()].find(({ arn }) => arn.endsWith(left[0]!))!.state, 'Enabled');
  }
});

test('a process of its own follows a change of keys, and gets new credentials when its own run out', async () => {
  const kms = await open(nextFile());
  const principal = awsPrincipalOf('keystore');
  const temporary = (n: number) => {
    const credentials = { accessKeyId: `ASIAFAKE${n}`, secretAccessKey: `secret ${n}`, sessionToken: `session ${n}` };
    fake.principals.set(credentials.accessKeyId, { ...principal, ...credentials });
    return credentials;
  };
  const now = async (n: number, expiresAt: string): Promise<Extract<RoleAccess, { kind: 'aws' }>> => {
    const bytes = new TextEncoder().encode(JSON.stringify({ ...temporary(n), expiresAt }));
    return { ...(await accessOf(kms)), secret: bytes };
  };
  const soon = new Date(Date.now() + 1_000).toISOString();
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const own = openAwsRoleKms('keystore', await now(1, soon), () => now(2, later));
  const before = await own.wrap(secret, context);
  await kms.addKeys();
  const after = await own.wrap(secret, context);
  assert.notEqual(after.split('.')[1], before.split('.')[1]);
  for (const wrapped of [before, after, await kms.forRole('keystore').wrap(secret, context)])
    assert.deepEqual(await own.unwrap(wrapped, context), secret);
  const lastReader = () => fake.calls.filter((call) => call.name === 'Decrypt').at(-1)?.principal;
  assert.equal(lastReader(), 'ASIAFAKE2');
  // One that wraps nothing, and so asks for no keys, asks for credentials all the same.
  const reading = openAwsRoleKms('keystore', await now(3, soon), () => now(4, later));
  assert.deepEqual(await reading.unwrap(before, context), secret);
  fake.principals.delete('ASIAFAKE3');
  assert.deepEqual(await reading.unwrap(before, context), secret);
  assert.equal(lastReader(), 'ASIAFAKE4');
});
