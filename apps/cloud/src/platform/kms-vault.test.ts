import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock, systemRandom } from '@holdfast/base';
import { afterwards } from '@holdfast/testing';
import { FakeVault, type VaultFault } from '../testing/fake-vault.ts';
import { startFakeVault, vaultPolicyOf } from '../testing/key-services.ts';
import { testKms } from '../testing/kms-suite.ts';
import { kmsRoles } from './kms.ts';
import { openVaultKms, openVaultRoleKms, type VaultKms, type VaultKmsOptions } from './kms-vault.ts';
import { localCertificates } from './tls.ts';

const secret = new TextEncoder().encode('a secret of some length');
const context = { purpose: 'log-key', tenantId: 'tenant-1' };
const bytes = (text: string) => new TextEncoder().encode(text);

let service: Awaited<ReturnType<typeof startFakeVault>>;
let fake: FakeVault;
let folder: string;
before(async () => {
  service = await startFakeVault();
  ({ fake, folder } = service);
});
after(() => service.stop());

function allow(vault: FakeVault): void {
  for (const role of kmsRoles) vault.tokens.set(`hvs.${role}`, vaultPolicyOf(role));
}

let places = 0;
const nextFile = () => path.join(folder, `place ${++places}.json`);
const settings = (vault: FakeVault, more: Partial<VaultKmsOptions> = {}): VaultKmsOptions => ({
  address: vault.address,
  mount: 'transit',
  namespace: null,
  ca: null,
  readToken: (role) => Promise.resolve(bytes(`hvs.${role}`)),
  ...more,
});
const open = (file: string, more?: Partial<VaultKmsOptions>): Promise<VaultKms> =>
  openVaultKms(file, settings(fake, more));

testKms({
  name: 'Vault (a fake of it)',
  makePlace: () => {
    const file = nextFile();
    return Promise.resolve({ open: () => open(file) });
  },
});

async function accessOf(kms: VaultKms) {
  const access = await kms.accessFor('keystore');
  assert.ok(access.kind === 'vault');
  return access;
}

test('the token of a role opens what is of that role, and nothing of another, whatever it is called', async () => {
  const kms = await open(nextFile());
  const { secret: token, ...place } = await accessOf(kms);
  const own = openVaultRoleKms('keystore', place, () => Promise.resolve(token));
  const wrapped = await own.wrap(secret, context);
  assert.deepEqual(await kms.forRole('keystore').unwrap(wrapped, context), secret);
  assert.deepEqual(await own.unwrap(await kms.forRole('keystore').wrap(secret, context), context), secret);
  const ofApi = await kms.forRole('api').wrap(secret, context);
  assert.deepEqual(await kms.forRole('api').unwrap(ofApi, context), secret);
  const renamed = ofApi.replace('.api.', '.keystore.').replace('-api-', '-keystore-');
  await assert.rejects(own.unwrap(renamed, context), { code: 'kms.not_opened' });
  // Whoever runs code there asks for what they like with it.
  const asApi = openVaultRoleKms('api', place, () => Promise.resolve(token));
  for (const attempt of [asApi.unwrap(ofApi, context), asApi.wrap(secret, context)])
    await assert.rejects(attempt, { code: 'kms_remote.denied' });
});

test('a token that was renewed is read again when the one before is refused; a wrong one is said to be', async () => {
  let token = 'hvs.first';
  fake.tokens.set(token, () => true);
  const file = nextFile();
  const kms = await open(file, { readToken: () => Promise.resolve(bytes(token)) });
  const wrapped = await kms.forRole('api').wrap(secret, context);
  fake.tokens.delete(token);
  await assert.rejects(kms.forRole('api').unwrap(wrapped, context), { code: 'kms_remote.denied', kind: 'forbidden' });
  token = 'hvs.second';
  fake.tokens.set(token, () => true);
  assert.deepEqual(await kms.forRole('api').unwrap(wrapped, context), secret);
  await assert.rejects(open(file, { readToken: () => Promise.resolve(undefined) }), {
    code: 'kms_remote.no_credentials',
  });
});

test('a service that fails for a moment is asked again, and for longer is said to be away, within its time', async () => {
  const kms = (await open(nextFile())).forRole('api');
  const wrapped = await kms.wrap(secret, context);
  const passing: readonly VaultFault[] = [
    { status: 500, reason: 'internal error' },
    { status: 429, reason: 'rate limit quota exceeded' },
    { status: 412, reason: 'required index state not present' },
    { status: 503, reason: 'Vault is sealed' },
    'drop',
    'hang',
  ];
  for (const fault of passing) {
    fake.faults.push(fault);
    assert.deepEqual(await kms.unwrap(wrapped, context), secret, JSON.stringify(fault));
  }
  for (const [fault, code] of [
    [{ status: 500, reason: 'internal error' }, 'kms_remote.away'],
    [{ status: 429, reason: 'rate limit quota exceeded' }, 'kms_remote.throttled'],
    ['drop', 'kms_remote.away'],
    ['hang', 'kms_remote.away'],
  ] as const) {
    fake.faults.push(fault, fault, fault, fault, fault, fault);
    const begunMs = performance.now();
    await assert.rejects(kms.unwrap(wrapped, context), { code, kind: 'unavailable' }, JSON.stringify(fault));
    assert.ok(performance.now() - begunMs < 12_000);
    fake.faults.length = 0;
  }
  fake.isSealed = true;
  await assert.rejects(kms.unwrap(wrapped, context), { code: 'kms_remote.away' });
  fake.isSealed = false;
  assert.deepEqual(await kms.unwrap(wrapped, context), secret);
});

test('a Vault that binds nothing to secrets is refused, and one that does is not', async () => {
  const file = nextFile();
  const old = await new FakeVault().start();
  try {
    allow(old);
    old.ignoresAssociatedData = true;
    await assert.rejects(openVaultKms(file, settings(old)), { code: 'kms_remote.unbound' });
    old.ignoresAssociatedData = false;
    await openVaultKms(nextFile(), settings(old));
  } finally {
    await old.stop();
  }
});

test('a key that could be taken out of the Vault is refused at the start and where keys are listed or changed, and others are not', async () => {
  const file = nextFile();
  const kms = await open(file);
  await kms.listKeys();
  const ofApi = (await kms.listKeys()).find(({ role }) => role === 'api')!;
  const name = `holdfast-${ofApi.keyId.split('-')[0]}-api`;
  const key = fake.keys.get(name)!;
  for (const weak of [
    { exportable: true },
    { allow_plaintext_backup: true },
    { derived: true },
    { type: 'aes128-gcm96' },
  ]) {
    fake.keys.set(name, { ...key, ...weak });
    await assert.rejects(kms.listKeys(), { code: 'kms_remote.weak_key' });
    await assert.rejects(kms.addKeys(), { code: 'kms_remote.weak_key' });
    await assert.rejects(open(file), { code: 'kms_remote.weak_key' });
    fake.keys.set(name, key);
    await kms.listKeys();
    await open(file);
  }
});

test('versions that are removed are gone from the Vault for good', async () => {
  const kms = await open(nextFile());
  const before = (await kms.listKeys()).map(({ keyId }) => keyId);
  const wrapped = await kms.forRole('api').wrap(secret, context);
  await kms.addKeys();
  await kms.rewrapOwn();
  await kms.removeKeys(before);
  const name = `holdfast-${before[0]!.split('-')[0]}-api`;
  const { versions, least } = fake.keys.get(name)!;
  assert.deepEqual([versions[0], versions.length, least], [undefined, 2, { decryption: 2, encryption: 2 }]);
  await assert.rejects(kms.forRole('api').unwrap(wrapped, context), { code: 'kms.unknown_key' });
  fake.keys.delete(name);
  await assert.rejects(kms.forRole('api').wrap(secret, context), { code: 'kms_remote.key_unusable' });
});

test('over TLS the Vault must prove its name by an authority that is believed, and namespaces are named', async (t) => {
  const tlsDir = path.join(folder, 'tls');
  const source = await localCertificates({ tlsDir, hosts: ['localhost'], clock: systemClock, random: systemRandom });
  const vault = await new FakeVault({ certificate: await source.current(), namespace: 'backup' }).start();
  afterwards(t, () => vault.stop());
  allow(vault);
  const ca = readFileSync(source.caFile!, 'utf8');
  await openVaultKms(nextFile(), settings(vault, { ca, namespace: 'backup' }));
  await assert.rejects(openVaultKms(nextFile(), settings(vault, { namespace: 'backup' })), { code: 'kms_remote.away' });
  await assert.rejects(openVaultKms(nextFile(), settings(vault, { ca })), { code: 'kms_remote.denied' });
});
