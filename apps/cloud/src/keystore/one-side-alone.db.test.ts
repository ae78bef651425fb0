import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRecordSync, parseRing } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import {
  hpkeKeyId,
  importHpkeKey,
  openEscrowInner,
  openEscrowOuter,
  openSlotWithKey,
  parseEscrowParameters,
  type HpkeKey,
  type Slot,
} from '@holdfast/trust';
import pg from 'pg';
import { kmsRoles, openRoleKms, type Kms } from '../platform/kms.ts';
import { logins, type Login } from '../platform/postgres.ts';
import { makeReleaseTenant, serveReleases } from '../testing/release-tenant.ts';
import { startForFile } from '../testing/test-server.ts';
import { wrappedColumns } from '../wrapped-columns.ts';
import { makeParty } from './release-scene.fixture.ts';

const { cluster, cloud } = await startForFile();
const server = await serveReleases(cloud);
const tenant = await makeReleaseTenant(cloud, 'sides', server);
const { tenantId, archive, device, admin, first } = tenant;

/** Whoever has taken over one side: its logins, and what opens its secrets. */
type Side = { readonly logins: readonly Login[]; readonly kms: readonly Kms[] };

/** Every row of every table that the logins of a side can read. */
async function readAll(side: Side): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const found: Readonly<Record<string, unknown>>[] = [];
  for (const login of side.logins) {
    const client = new pg.Client({ ...cloud.testDatabase.target, user: login, password: cluster.passwords[login] });
    await client.connect();
    try {
      await client.query(`select set_config('app.tenant_id', $1, false)`, [tenantId]);
      const { rows: tables } = await client.query<{ name: string }>(
        `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v') and n.nspname !~ '^(pg_|information_schema)'
           and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')`,
      );
      for (const { name } of tables) {
        const { rows } = await client.query<Record<string, unknown>>(`select * from ${name}`);
        found.push(...rows);
      }
    } finally {
      await client.end();
    }
  }
  return found;
}

/** Everything of 32 bytes that a side has: in its rows, in texts of them, and in what it can unwrap, whatever that was wrapped for. */
async function secretsOf(side: Side, more: readonly unknown[] = []): Promise<readonly Uint8Array[]> {
  const found = new Map<string, Uint8Array>();
  for (const row of [...(await readAll(side)), ...more.map((value) => ({ value }))]) {
    const wrapped = Object.values(row).filter((value) => typeof value === 'string' && value.startsWith('hfw1.'));
    const opened = await Promise.all(wrapped.map((text) => unwrapped(side, text as string, row)));
    for (const bytes of [...Object.values(row).flatMap(bytesIn), ...opened.flat()])
      if (bytes.length === 32) found.set(Buffer.from(bytes).toString('hex'), bytes);
  }
  return [...found.values()];
}

/** A value as bytes, or what stands in it as hex or base64 of 32. */
function bytesIn(value: unknown): readonly Uint8Array[] {
  if (value instanceof Uint8Array) return [value];
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  const all = (form: RegExp, encoding: 'hex' | 'base64') =>
    [...text.matchAll(form)].map(([found]) => new Uint8Array(Buffer.from(found, encoding)));
  return [
    ...all(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g, 'hex'),
    ...all(/(?<![\w+/-])[\w+/-]{43}(?![\w+/-])/g, 'base64'),
  ];
}

async function unwrapped({ kms }: Side, text: string, row: object): Promise<readonly Uint8Array[]> {
  const names = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)]));
  const found: Uint8Array[] = [];
  for (const one of kms)
    for (const { of } of wrappedColumns) {
      const { context } = of(names);
      // As it is, and as if it had been wrapped for this role.
      for (const each of [text, text.replace(/^(hfw1\.[^.]+)\.[^.]+/, `$1.${one.role}`)])
        found.push(...(await one.unwrap(each, context).then((secret) => [secret], refused)));
    }
  return found;
}

/** A refusal with a name of its own gives nothing; whatever else goes wrong is a fault of this test. */
function refused(error: unknown): readonly never[] {
  if (error instanceof CodedError) return [];
  throw error;
}

/** All that an attempt gives, or nothing where it is refused. */
function given(attempt: () => Uint8Array | undefined): readonly Uint8Array[] {
  try {
    const value = attempt();
    return value ? [value] : [];
  } catch (error) {
    return refused(error);
  }
}

/** The slot as if it said that it is sealed to this key: what it says is no secret, and stops nobody. */
function saidToBeFor(slot: Slot, { publicKey }: HpkeKey): Slot {
  const { outerKeyId, innerKeyId } = parseEscrowParameters(slot);
  const parameters = Buffer.from(slot.parameters!);
  for (const keyId of [outerKeyId, innerKeyId])
    Buffer.from(hpkeKeyId(publicKey)).copy(parameters, parameters.indexOf(keyId));
  return { ...slot, parameters: new Uint8Array(parameters) };
}

/** Tries every secret as every key on the way to the ring. */
function attack(secrets: readonly Uint8Array[]) {
  const { slot, record, keys } = archive;
  const place = { archiveId: keys.archiveId, keyringNumber: keys.keyring.number };
  const asKeys = secrets.map((secret) => importHpkeKey(new Uint8Array(secret)));
  const layers = asKeys.flatMap((key) => given(() => openEscrowOuter(saidToBeFor(slot, key), place.archiveId, key)));
  const { sealed } = parseEscrowParameters(slot);
  // The inner layer as it was opened, and what is sealed around it from either end.
  const inner = [...layers, sealed.subarray(0, 80), sealed.subarray(-80)];
  const slotKeys = asKeys.flatMap((key) =>
    inner.flatMap((layer) => given(() => openEscrowInner(saidToBeFor(slot, key), place.archiveId, layer, key))),
  );
  const ringKeys = [...slotKeys, ...secrets].flatMap((key) => given(() => openSlotWithKey(slot, place, key)));
  const rings = [...ringKeys, ...secrets].flatMap((ringKey) =>
    given(() => openRecordSync(record, { archiveId: place.archiveId, ring: new Map(), ringKey }).raw),
  );
  const epochs = keys.ring.epochs.map(({ key }) => Buffer.from(key).toString('hex'));
  const had = new Set(secrets.map((secret) => Buffer.from(secret).toString('hex')));
  return { layers: layers.length, rings, isEpochKnown: epochs.some((epoch) => had.has(epoch)) };
}

const nothing = { rings: [], isEpochKnown: false };

/** The api's, and all other roles' of the server but the keystore: `hf_migrate`, which owns the tables, no running role has. */
const sideOfApi: Side = {
  logins: logins.filter((login) => !['hf_keystore', 'hf_migrate'].includes(login)),
  kms: kmsRoles.filter((role) => role !== 'keystore').map((role) => cloud.kms.forRole(role)),
};

/** The keystore's: its login, and what it is handed in place of master keys. */
async function sideOfKeystore(): Promise<Side> {
  const access = await cloud.kms.accessFor('keystore');
  assert.ok(access.kind === 'keys');
  return { logins: ['hf_keystore'], kms: [openRoleKms('keystore', access.keys)] };
}

test("with all that the api has, rows, secrets and the socket of the keystore, outer layers open and no ring; with the keystore's not even those", async () => {
  const [ofApi, ofKeystore] = [sideOfApi, await sideOfKeystore()];
  const { keystore } = server;
  const tenantUid = tenantId;
  const answers = [
    await keystore.publicKeys({ tenantUid }),
    await keystore.followed({ tenantUid }),
    await keystore.releaseRules({ tenantUid }),
  ];
  const [fromApi, fromKeystore] = [await secretsOf(ofApi, answers), await secretsOf(ofKeystore, answers)];
  assert.ok(fromApi.length > 5 && fromKeystore.length > 1, `${fromApi.length} and ${fromKeystore.length} were tried`);
  assert.deepEqual(attack(fromApi), { ...nothing, layers: 1 });
  assert.deepEqual(attack(fromKeystore), { ...nothing, layers: 0 });
  // The same attempts with what both have: so the refusals mean something.
  const both = attack([...fromApi, ...fromKeystore]);
  assert.equal(both.layers, 1);
  assert.equal(both.rings.length, 1);
  const held = archive.keys.ring.epochs.map(({ number, key }) => [number, Buffer.from(key).toString('hex')]);
  assert.deepEqual(
    parseRing(both.rings[0]!).epochs.map(({ number, key }) => [number, Buffer.from(key).toString('hex')]),
    held,
  );
});

test('whoever has all of the api makes persons of their own, and the keystore releases nothing for them; for those it knows it does', async () => {
  const [asker, approver] = [makeParty('person'), makeParty('person')];
  await tenant.registerPerson(asker, true);
  await tenant.registerPerson(approver, true);
  for (const [plan, code] of [
    [{ requester: asker, approvers: [approver] }, 'keystore.young_key'],
    [{ requester: admin, approvers: [approver] }, 'keystore.young_approver'],
    [{ requester: makeParty('device', device.holder.uid) }, 'keystore.unregistered_key'],
  ] as const) {
    await assert.rejects(async () => tenant.release(plan), { code });
    const keys = await tenant.release({ requester: admin, approvers: [first] });
    assert.equal(keys.scope, 'read');
  }
});
