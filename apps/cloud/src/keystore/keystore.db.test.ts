import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemRandom } from '@holdfast/base';
import {
  openEscrowInner,
  openEscrowOuter,
  parseEscrowKeys,
  prepareEscrowSlot,
  importHpkeKey,
  keystoreKeyName,
  parseVerifierKey,
  logKeyName,
  formatVerifierKey,
  noteSigner,
} from '@holdfast/trust';
import pg from 'pg';
import { findEscrowKeys } from '../modules/escrow/index.ts';
import { findLogVerifier, makeLogKey } from '../modules/logs/index.ts';
import { openRoleKms, type Kms } from '../platform/kms.ts';
import { openKeyFileKms } from '../platform/kms-file.ts';
import { logins, type Login } from '../platform/postgres.ts';
import { startForFile } from '../testing/test-server.ts';
import { makeTenantKeys, tenantKeyPurposes } from './make-tenant-keys.ts';
import type { KeystoreContext } from './operation.ts';
import { perform } from './serve.ts';
import { releaseTables } from './release-store.ts';
import { tables as keyTables } from './store.ts';

const tables = { ...keyTables, ...releaseTables };
const { cluster, cloud } = await startForFile();
const { database: name } = cloud.testDatabase.target;
const { installationId } = cloud.api;
const keystoreKms = cloud.kms.forRole('keystore');
const context: KeystoreContext = {
  installationId,
  database: cloud.testDatabase.open('hf_keystore'),
  kms: keystoreKms,
  clock: cloud.clock,
  random: systemRandom,
};

const isDenied = (error: unknown) => error instanceof pg.DatabaseError && error.code === '42501';

async function rowsOf<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
  return (await cluster.asSuperuser(name, statement, values)).rows as Row[];
}

async function as<T>(login: Login, tenantId: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...cloud.testDatabase.target, user: login, password: cluster.passwords[login] });
  await client.connect();
  try {
    await client.query('begin');
    await client.query(`select set_config('app.tenant_id', $1, true)`, [tenantId]);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A row of a tenant in each table of releases. */
async function fillReleaseTables(client: pg.Client, tenantUid: string): Promise<void> {
  const [hash, key] = [Buffer.alloc(32), 'A'.repeat(43)];
  const insert = (table: string, values: readonly unknown[]) =>
    client.query(`insert into ${table} values (${values.map((_, place) => `$${place + 1}`).join(', ')})`, [...values]);
  const at = new Date(0);
  await insert('keystore.followed_logs', [tenantUid, 1, [hash], at]);
  await insert('keystore.key_states', [tenantUid, key, 0, 'device', tenantUid, at, true, null, null]);
  await insert('keystore.release_rules', [tenantUid, 1, 0, '{}', at]);
  await insert('keystore.used_requests', [tenantUid, key.slice(0, 22), hash, at, '']);
  await insert('keystore.waiting_leaves', [tenantUid, hash, at]);
  await client.query('commit');
}

/** A tenant that no table of the others knows, and its log's verifier key. */
async function newTenant() {
  const tenantUid = crypto.randomUUID();
  const { verifier } = await makeLogKey(cloud.kms.forRole('api'), installationId, tenantUid);
  return { tenantUid, logVerifier: verifier };
}

test('the keystore reaches its own tables and no other, and no other login reaches those; their owner can', async () => {
  const { tenantUid } = await cloud.addTenant('reach');
  await as('hf_keystore', tenantUid, (client) => fillReleaseTables(client, tenantUid));
  const others = logins.filter((login) => login !== 'hf_keystore' && login !== 'hf_migrate');
  const all = await rowsOf<{ schema: string; relation: string }>(
    `select n.nspname as schema, c.relname as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`,
  );
  assert.deepEqual(
    new Set(all.map(({ schema }) => schema)),
    new Set(['public', 'jobs', 'keystore']),
    'a new schema needs a place in this test',
  );
  for (const { schema, relation } of all.filter(({ schema }) => schema === 'public')) {
    const ask = `select 1 from public.${pg.escapeIdentifier(relation)} limit 1`;
    await assert.rejects(
      as('hf_keystore', tenantUid, (client) => client.query(ask)),
      isDenied,
      `${schema}.${relation}`,
    );
    await as('hf_migrate', tenantUid, (client) => client.query(ask));
  }
  const jobs = await rowsOf<{ reached: boolean }>(
    `select bool_or(has_table_privilege('hf_keystore', c.oid, 'select, insert, update, delete')) as reached
     from pg_class c where c.relnamespace = 'jobs'::regnamespace and c.relkind in ('r', 'p', 'v')`,
  );
  assert.deepEqual(jobs, [{ reached: false }]);
  for (const table of Object.keys(tables)) {
    const ask = `select * from ${table}`;
    for (const login of others)
      await assert.rejects(
        as(login, tenantUid, (client) => client.query(ask)),
        isDenied,
        `${login} ${table}`,
      );
    for (const login of ['hf_keystore', 'hf_migrate'] as const)
      assert.ok(((await as(login, tenantUid, (client) => client.query(ask))).rowCount ?? 0) > 0, `${login} ${table}`);
  }
});

test('the keystore sees one tenant at a time, and can neither change nor remove what it keeps', async () => {
  const [ours, theirs] = [await newTenant(), await newTenant()];
  for (const tenant of [ours, theirs]) {
    await makeTenantKeys.work(context, tenant);
    await as('hf_keystore', tenant.tenantUid, (client) => fillReleaseTables(client, tenant.tenantUid));
  }
  await as('hf_keystore', ours.tenantUid, async (client) => {
    for (const table of Object.keys(tables)) {
      const seen = await client.query(`select distinct tenant_id from ${table}`);
      assert.deepEqual(seen.rows, [{ tenant_id: ours.tenantUid }], table);
    }
  });
  const anchor = `insert into keystore.log_anchors (tenant_id, log_verifier, created_at) values ($1, 'x', now())`;
  const [mine, stranger] = [crypto.randomUUID(), crypto.randomUUID()];
  await as('hf_keystore', mine, (client) => client.query(anchor, [mine]));
  await assert.rejects(
    as('hf_keystore', mine, (client) => client.query(anchor, [stranger])),
    isDenied,
  );
  for (const table of Object.keys(tables))
    for (const statement of [
      `update ${table} set tenant_id = tenant_id`,
      `delete from ${table}`,
      `truncate ${table}`,
      `alter table ${table} disable row level security`,
    ])
      await assert.rejects(
        as('hf_keystore', ours.tenantUid, (client) => client.query(statement)),
        isDenied,
        statement,
      );
  const secured = await rowsOf<{ enabled: boolean; forced: boolean }>(
    `select distinct relrowsecurity as enabled, relforcerowsecurity as forced from pg_class
     where relnamespace = 'keystore'::regnamespace and relkind = 'r'`,
  );
  assert.deepEqual(secured, [{ enabled: true, forced: true }]);
});

test('the store describes the tables of the keystore as the database has them', async () => {
  const rows = await rowsOf<{ table: string; column: string; type: string; nullable: boolean }>(
    `select 'keystore.' || table_name as table, column_name as column, udt_name as type, is_nullable = 'YES' as nullable
     from information_schema.columns where table_schema = 'keystore' order by 1, 2`,
  );
  const described = Object.entries(tables).flatMap(([table, columns]) =>
    Object.entries(columns).map(([column, { sqlType: type, nullable }]) => ({ table, column, type, nullable })),
  );
  const byName = (a: { table: string; column: string }, b: { table: string; column: string }) =>
    `${a.table} ${a.column}` < `${b.table} ${b.column}` ? -1 : 1;
  assert.deepEqual(rows.toSorted(byName), described.toSorted(byName));
});

test('a tenant has one pair of keys, however often and from how many sides they are asked for', async () => {
  const tenant = await newTenant();
  const made = await Promise.all(Array.from({ length: 6 }, () => makeTenantKeys.work(context, tenant)));
  assert.equal(new Set(made.map((keys) => JSON.stringify(keys))).size, 1);
  const [keys] = made;
  assert.equal(keys?.number, 1);
  const { name: keyName } = parseVerifierKey(keys.keystoreVerifier);
  assert.equal(keyName, keystoreKeyName(installationId, tenant.tenantUid));
  const { tenantUid } = tenant;
  assert.deepEqual(await perform(context, 'publicKeys', { tenantUid }), {
    logVerifier: tenant.logVerifier,
    keys: [keys],
  });
  const other = await makeTenantKeys.work(context, await newTenant());
  assert.notEqual(other.keystoreKey, keys.keystoreKey);
});

test('the log that the keystore believes is not exchanged by asking, nor is one of another tenant taken', async () => {
  const [ours, theirs] = [await newTenant(), await newTenant()];
  const keys = await makeTenantKeys.work(context, ours);
  const { verifier } = await makeLogKey(cloud.kms.forRole('api'), installationId, ours.tenantUid);
  assert.equal(parseVerifierKey(verifier).name, logKeyName(installationId, ours.tenantUid));
  await assert.rejects(makeTenantKeys.work(context, { ...ours, logVerifier: verifier }), {
    code: 'keystore.other_log',
  });
  const wrong = { code: 'keystore.unknown_form' };
  const foreign = { tenantUid: theirs.tenantUid, logVerifier: ours.logVerifier };
  await assert.rejects(makeTenantKeys.work(context, foreign), wrong);
  await assert.rejects(makeTenantKeys.work(context, { ...theirs, logVerifier: 'none' }), wrong);
  // One of this tenant that is not its log's: each key signs under its own name.
  for (const name of ['keystore', 'audit/', 'other']) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const { key } = noteSigner(`holdfast/${installationId}/${theirs.tenantUid}/${name}`, privateKey);
    const logVerifier = formatVerifierKey(key);
    await assert.rejects(makeTenantKeys.work(context, { ...theirs, logVerifier }), wrong, name);
  }
  assert.deepEqual(await makeTenantKeys.work(context, ours), keys);
  await assert.rejects(perform(context, 'publicKeys', { tenantUid: theirs.tenantUid }), {
    code: 'keystore.tenant_unknown',
  });
  await makeTenantKeys.work(context, theirs);
  await perform(context, 'publicKeys', { tenantUid: theirs.tenantUid });
});

test('a request of another shape than its operation has is refused, and the same in its shape is not', async () => {
  const tenant = await newTenant();
  const wrong: readonly unknown[] = [
    undefined,
    null,
    'text',
    [],
    {},
    { ...tenant, more: 1 },
    { tenantUid: tenant.tenantUid },
    { ...tenant, tenantUid: tenant.tenantUid.toUpperCase() },
    { ...tenant, tenantUid: `${tenant.tenantUid} ` },
    { ...tenant, logVerifier: 'x'.repeat(401) },
  ];
  for (const body of wrong) {
    await assert.rejects(perform(context, 'makeTenantKeys', body), { code: 'keystore.unknown_form' });
    await perform(context, 'makeTenantKeys', tenant);
  }
});

test('what the keystore made is overwritten once it is wrapped', async () => {
  const held: Uint8Array[] = [];
  const drawn: Uint8Array[] = [];
  const kms: Kms = {
    ...keystoreKms,
    wrap(secret, of) {
      held.push(secret);
      assert.ok(secret.some((byte) => byte !== 0));
      return keystoreKms.wrap(secret, of);
    },
  };
  const random = (bytes: number) => {
    const chance = systemRandom(bytes);
    drawn.push(chance);
    return chance;
  };
  await makeTenantKeys.work({ ...context, kms, random }, await newTenant());
  assert.equal(held.length, 2);
  for (const secret of [...held, ...drawn]) assert.ok(secret.every((byte) => byte === 0));
});

test('neither the secrets of the api nor those of the keystore open a slot by themselves; both together do', async () => {
  const { tenantUid: tenantId } = await cloud.addTenant('layers');
  const document = await cloud.database.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));
  const keys = parseEscrowKeys(document ?? '');
  const [logKey, keystoreKey] = [keys.logSealingKey, keys.keystoreKey].map((key) => Buffer.from(key, 'base64url'));
  const archiveId = systemRandom(16);
  const prepared = prepareEscrowSlot(archiveId, { logKey: logKey!, keystoreKey: keystoreKey! }, systemRandom);
  const slot = { ...prepared.slot, wrappedRingKey: new Uint8Array(80) };
  const [ofLog] = await rowsOf<{ wrapped: string }>(
    'select wrapped_log_sealing_key as wrapped from escrow_keys where tenant_id = $1',
    [tenantId],
  );
  const [ofKeystore] = await rowsOf<{ wrapped: string }>(
    'select wrapped_sealing_key as wrapped from keystore.tenant_keys where tenant_id = $1',
    [tenantId],
  );
  const outer = { purpose: 'log-sealing-key', tenantId };
  const inner = { purpose: tenantKeyPurposes.sealing, tenantId };
  // Everything of the api's: its login sees no row of the keystore, its secrets open none of them, whoever fetched it.
  await assert.rejects(
    as('hf_api', tenantId, (client) => client.query('select * from keystore.tenant_keys')),
    isDenied,
  );
  const api = cloud.kms.forRole('api');
  await assert.rejects(api.unwrap(ofKeystore!.wrapped, inner), { code: 'kms.not_opened' });
  const renamed = ofKeystore!.wrapped.replace('.keystore.', '.api.');
  await assert.rejects(api.unwrap(renamed, inner), { code: 'kms.not_opened' });
  // Everything of the keystore's: what it is handed, taken for master keys, gives it no other role and no other login.
  await assert.rejects(
    as('hf_keystore', tenantId, (client) => client.query('select * from public.escrow_keys')),
    isDenied,
  );
  const access = await cloud.kms.accessFor('keystore');
  assert.ok(access.kind === 'keys');
  const handed = access.keys;
  const own = openRoleKms('keystore', handed);
  await assert.rejects(own.unwrap(ofLog!.wrapped, outer), { code: 'kms.not_opened' });
  const taken = await asMasterKeys(handed);
  for (const role of ['api', 'storage', 'operator'] as const) {
    const text = ofLog!.wrapped.replace('.api.', `.${role}.`);
    await assert.rejects(taken.forRole(role).unwrap(text, outer), { code: 'kms.not_opened' });
  }
  for (const login of logins) assert.notEqual(taken.derivePassword(login), cloud.kms.derivePassword(login));
  // Both together.
  const [logSecret, keystoreSecret] = [
    await api.unwrap(ofLog!.wrapped, outer),
    await own.unwrap(ofKeystore!.wrapped, inner),
  ];
  const layer = openEscrowOuter(slot, archiveId, importHpkeKey(logSecret));
  assert.equal(openEscrowInner(slot, archiveId, layer, importHpkeKey(keystoreSecret)).length, 32);
  assert.throws(() => openEscrowOuter(slot, archiveId, importHpkeKey(keystoreSecret)), { code: 'escrow.other_key' });
});

/** A key file as somebody would write it who has nothing but the keys of one role. */
async function asMasterKeys(keys: readonly { keyId: string; key: Uint8Array }[]) {
  const file = path.join(cloud.homeDir, 'taken-keys.json');
  const written = keys.map(({ keyId, key }) => ({
    keyId,
    key: Buffer.from(key).toString('base64'),
    createdAt: '2026-01-01T00:00:00Z',
  }));
  writeFileSync(file, JSON.stringify({ format: 'holdfast-master-keys-v1', keys: written }), { mode: 0o600 });
  return openKeyFileKms(file, { nowMs: 0 });
}

test('a log verifier is that of the log which the tenant has', async () => {
  const { tenantUid: tenantId } = await cloud.addTenant('anchored');
  const logVerifier = await cloud.database.withTenant(tenantId, (tx) => findLogVerifier(tx, tenantId));
  const known = (await perform(context, 'publicKeys', { tenantUid: tenantId })) as { logVerifier: string };
  assert.equal(known.logVerifier, logVerifier);
});
