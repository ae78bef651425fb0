import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AuditEntry } from '@holdfast/contract';
import {
  appendLeaves,
  emptyTree,
  leafHash,
  parseCanonicalJson,
  proveConsistency,
  proveInclusion,
  readTreeState,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '@holdfast/trust';
import { silentLog } from '../../platform/log.ts';
import {
  clientProof,
  forgedProof,
  makeWorld,
  sendRaw,
  startTestCloud,
  startTestCluster,
  type TenantWorld,
  type TestCloud,
  type TestCluster,
} from '../../testing.ts';
import { nodeSource, originOf, signHead, signHeads, type SigningDeps } from '../logs/index.ts';
import { verifyAuditLog, writeAudit } from './index.ts';

let cluster: TestCluster;
let cloud: TestCloud;
let signing: SigningDeps;
before(async () => {
  cluster = await startTestCluster();
  cloud = await startTestCloud(cluster);
  const { installationId } = cloud.api;
  signing = {
    database: cloud.database,
    kms: cloud.kms.forRole('api'),
    clock: cloud.clock,
    installationId,
    log: silentLog,
  };
});
after(async () => {
  await cloud.stop();
  await cluster.stop();
});

const at = new Date('2026-01-02T03:04:05.678Z');
const actor = { kind: 'system', id: 'test', name: 'test' } as const;

const auditOf = (tenantId: string) => ({ tenantId, log: 'audit' }) as const;

function write(tenantId: string, eventType: string): Promise<void> {
  return cloud.database.withTenant(tenantId, (tx) =>
    writeAudit(tx, { tenantId, at, actor, outcome: 'done', eventType }),
  );
}

async function entriesOf(world: Pick<TenantWorld, 'tenant'>): Promise<readonly AuditEntry[]> {
  const entries: AuditEntry[] = [];
  const client = cloud.clientOf(world.tenant);
  for (let from: number | null = 0; from !== null;) {
    const page = await client.audit.entries({ query: { from: String(from), limit: '7' } });
    entries.push(...page.entries);
    from = page.nextFrom;
  }
  return entries;
}

const tamper = (statement: string, values: readonly unknown[] = []) =>
  cluster.asSuperuser(cloud.testDatabase.target.database, statement, values);

test('the tree the database keeps is the one that follows from the entries, and proves every one of them', async () => {
  const { tenant } = await makeWorld(cloud, 'tree');
  await Promise.all(Array.from({ length: 40 }, (_, number) => write(tenant.tenantUid, `test.number_${number}`)));
  const entries = await entriesOf({ tenant });
  assert.deepEqual(
    entries.map(({ logIndex }) => logIndex),
    entries.map((_, index) => index),
  );
  assert.equal(entries.filter(({ eventType }) => eventType.startsWith('test.number_')).length, 40);
  const leaves = entries.map(({ entry }) => leafHash(new TextEncoder().encode(entry)));
  const root = rootOf(appendLeaves(emptyTree, leaves).state);
  await cloud.database.withTenant(tenant.tenantUid, async (tx) => {
    const source = nodeSource(tx, auditOf(tenant.tenantUid));
    const treeSize = leaves.length;
    assert.deepEqual(new Uint8Array(rootOf(await readTreeState(source, treeSize))), new Uint8Array(root));
    for (const [leafIndex, leaf] of leaves.entries()) {
      const proof = await proveInclusion(source, leafIndex, treeSize);
      assert.ok(verifyInclusion({ leafHash: leaf, leafIndex, treeSize, root }, proof));
      const fromRoot = rootOf(await readTreeState(source, leafIndex));
      const claim = { fromSize: leafIndex, fromRoot, toSize: treeSize, toRoot: root };
      assert.ok(verifyConsistency(claim, await proveConsistency(source, leafIndex, treeSize)));
    }
  });
});

test('the columns of an entry repeat its text, which is canonical', async () => {
  const { tenant } = await makeWorld(cloud, 'columns');
  const [entry] = (await entriesOf({ tenant })).filter(({ eventType }) => eventType === 'tenant.created');
  assert.ok(entry);
  const text = parseCanonicalJson(entry.entry) as Record<string, unknown>;
  const { kind, id } = text['actor'] as { kind: string; id: string };
  assert.deepEqual(
    [entry.occurredAt, entry.outcome, entry.actorKind, entry.actorId],
    [text['occurredAt'], 'done', kind, id],
  );
});

test('what is rolled back leaves no entry and no gap', async () => {
  const { tenant } = await makeWorld(cloud, 'rollback');
  const { tenantUid: tenantId } = tenant;
  const before = await entriesOf({ tenant });
  const failing = cloud.database.withTenant(tenantId, async (tx) => {
    await writeAudit(tx, { tenantId, at, actor, outcome: 'done', eventType: 'test.vanishes' });
    throw new Error('rolled back');
  });
  await assert.rejects(failing, /rolled back/);
  await write(tenantId, 'test.stays');
  const after = await entriesOf({ tenant });
  const added = after.filter(({ logIndex }) => logIndex >= before.length).map(({ eventType }) => eventType);
  assert.deepEqual(
    added.filter((type) => type.startsWith('test.')),
    ['test.stays'],
  );
  assert.deepEqual(
    after.map(({ logIndex }) => logIndex),
    after.map((_, index) => index),
  );
});

test('a refused act is recorded although its transaction was rolled back', async () => {
  const world = await makeWorld(cloud, 'refused');
  const principalId = world.tenant.apiClientId.slice('key-'.length);
  const proof = forgedProof(world, { kind: 'client', principalId, scopes: [] });
  const headers = { ...(await proof({ method: 'GET', path: '/v1/users' })), 'user-agent': 'curl\t\u00ff"};--' };
  const reply = await sendRaw(cloud.url, { method: 'GET', path: '/v1/users', headers });
  assert.equal(reply.status, 403);
  const refused = (await entriesOf(world)).filter(({ eventType }) => eventType === 'request.refused');
  assert.equal(refused.length, 1);
  assert.equal(refused[0]?.actorId, principalId);
  const { facts, requestId, source } = JSON.parse(refused[0]?.entry ?? '') as Record<string, unknown>;
  assert.deepEqual(facts, { code: 'auth.missing_permission', method: 'GET', path: '/v1/users' });
  assert.equal(requestId, reply.headers['x-request-id']);
  assert.match(JSON.stringify(source), /"ipAddress":"127.0.0.1"/);
});

test('a change of roles is recorded with what was before and after', async () => {
  const world = await makeWorld(cloud, 'roles');
  const params = { userId: world.member.userId };
  await cloud.clientOf(world.tenant).users.setRoles({ params, body: { roleIds: ['org-admin', 'no-such-role'] } });
  const [change] = (await entriesOf(world)).filter(({ eventType }) => eventType === 'roles.replaced');
  const entry = JSON.parse(change?.entry ?? '{}') as Record<string, unknown>;
  assert.deepEqual([entry['before'], entry['after']], [['desktop-user'], ['org-admin']]);
  assert.deepEqual(entry['target'], { kind: 'user', id: world.member.userId });
});

test('a head is signed once for each size, by the key of its tenant, and continues the one before', async () => {
  const { tenant } = await makeWorld(cloud, 'heads');
  assert.ok((await signHeads(signing)) > 0);
  await write(tenant.tenantUid, 'test.more');
  await signHead(signing, auditOf(tenant.tenantUid));
  await signHead(signing, auditOf(tenant.tenantUid));
  const { heads } = await cloud.clientOf(tenant).audit.heads({ query: {} });
  assert.deepEqual(
    heads.map(({ treeSize }) => treeSize),
    [...new Set(heads.map(({ treeSize }) => treeSize))],
  );
  assert.ok(heads.length >= 2);
  const origin = originOf(cloud.api.installationId, auditOf(tenant.tenantUid));
  const notes = heads.map(({ note }) => note);
  const verdict = await verifyAuditLog({
    entries: await entriesOf({ tenant }),
    notes,
    origin,
    verifier: heads[0]?.verifier ?? '',
  });
  assert.deepEqual(verdict.problems, []);
  assert.equal(verdict.vouchedFor, heads[0]?.treeSize);
  const other = await makeWorld(cloud, 'heads-other');
  await signHead(signing, auditOf(other.tenant.tenantUid));
  const foreign = await cloud.clientOf(other.tenant).audit.heads({ query: {} });
  const swapped = await verifyAuditLog({ entries: [], notes, origin, verifier: foreign.heads[0]?.verifier ?? '' });
  assert.ok(swapped.problems.length === notes.length && swapped.problems.every(({ kind }) => kind === 'bad_head'));
});

/** Ways to falsify a log with all rights over the database; `$1` is the tenant, and 3 an entry in the middle. */
const falsifications: Readonly<Record<string, readonly string[]>> = {
  'an altered entry': [
    `update audit_entries set entry = replace(entry, 'test.event', 'test.never') where entry_id =
       (select entry_id from audit_leaves where tenant_id = $1 and log_index = 3)`,
  ],
  'a removed entry': [`delete from audit_leaves where tenant_id = $1 and log_index = 3`],
  'a removed entry with the gap closed': [
    `delete from audit_leaves where tenant_id = $1 and log_index = 3`,
    `update audit_leaves set log_index = log_index - 1000000 where tenant_id = $1 and log_index > 3`,
    `update audit_leaves set log_index = log_index + 999999 where tenant_id = $1 and log_index < 0`,
  ],
  'two entries exchanged': [
    `update audit_leaves set log_index = -1 where tenant_id = $1 and log_index = 3`,
    `update audit_leaves set log_index = 3 where tenant_id = $1 and log_index = 4`,
    `update audit_leaves set log_index = 4 where tenant_id = $1 and log_index = -1`,
  ],
  'a truncated log': [
    `delete from audit_leaves where tenant_id = $1 and log_index >= 5`,
    `update log_heads set tree_size = 5 where tenant_id = $1 and log = 'audit'`,
  ],
  'a log computed anew over altered entries': [
    `create temporary table kept as select e.tenant_id, e.entry_id, replace(e.entry, 'test.event_2', 'test.never') as entry,
       l.log_index from audit_entries e join audit_leaves l using (tenant_id, entry_id) where e.tenant_id = $1`,
    `delete from audit_leaves where tenant_id = $1`,
    `delete from log_nodes where tenant_id = $1 and log = 'audit'`,
    `delete from log_heads where tenant_id = $1 and log = 'audit'`,
    `delete from audit_entries where tenant_id = $1`,
    `insert into audit_entries (tenant_id, entry_id, entry) select tenant_id, entry_id, entry from kept where tenant_id = $1 order by log_index`,
  ],
};

for (const [what, statements] of Object.entries(falsifications)) {
  test(`${what} is found against a head that was kept, and without it the log was good`, async () => {
    const { tenant } = await makeWorld(cloud, `false-${what.replaceAll(/[^a-z]/g, '')}`);
    const { tenantUid: tenantId } = tenant;
    for (let number = 0; number < 8; number++) await write(tenantId, `test.event_${number}`);
    await signHead(signing, auditOf(tenantId));
    const { heads } = await cloud.clientOf(tenant).audit.heads({ query: { limit: '1' } });
    const origin = originOf(cloud.api.installationId, auditOf(tenantId));
    const kept = { notes: heads.map(({ note }) => note), origin, verifier: heads[0]?.verifier ?? '' };
    const good = await verifyAuditLog({ entries: await entriesOf({ tenant }), ...kept });
    assert.deepEqual(good.problems, []);
    const literal = `'${tenantId}'`;
    const script = statements.map((statement) => statement.replaceAll('$1', literal)).join(';\n');
    await tamper(`begin; ${script}; commit`);
    const bad = await verifyAuditLog({ entries: await readPastTheApi(tenantId), ...kept });
    assert.notDeepEqual(bad.problems, [], what);
    assert.ok(bad.vouchedFor < good.vouchedFor);
  });
}

/** The log as it lies in the database: reading by the API would add to it. */
async function readPastTheApi(tenantId: string) {
  const { rows } = await tamper(
    `select l.log_index, e.entry from audit_leaves l join audit_entries e using (tenant_id, entry_id)
     where tenant_id = $1 order by l.log_index`,
    [tenantId],
  );
  return (rows as { log_index: string; entry: string }[]).map(({ log_index, entry }) => ({
    logIndex: Number(log_index),
    entry,
  }));
}

test('a log that no longer continues its last signed head is not signed again, and others are', async () => {
  const [broken, whole] = [await makeWorld(cloud, 'broken'), await makeWorld(cloud, 'whole')];
  await signHeads(signing);
  const swap = `update log_heads set peaks = array(select sha256(peak) from unnest(peaks) peak) where tenant_id = $1 and log = 'audit'`;
  await tamper(swap, [broken.tenant.tenantUid]);
  const newest = async ({ tenant }: TenantWorld) =>
    (await cloud.clientOf(tenant).audit.heads({ query: { limit: '1' } })).heads[0]?.treeSize ?? 0;
  const before = [await newest(broken), await newest(whole)] as const;
  const errors: unknown[] = [];
  await signHeads({ ...signing, log: { ...silentLog, error: (facts) => errors.push(facts) } });
  assert.ok(errors.length > 0);
  assert.equal(await newest(broken), before[0]);
  assert.ok((await newest(whole)) > before[1]);
  await assert.rejects(signHead(signing, auditOf(broken.tenant.tenantUid)), { code: 'audit.inconsistent' });
});

test('reading the log is filtered and paged in its order', async () => {
  const world = await makeWorld(cloud, 'paging');
  await clientProof(world);
  const client = cloud.clientOf(world.tenant);
  const { entries } = await client.audit.entries({ query: { eventType: 'api_client.token_issued' } });
  assert.ok(entries.length >= 1);
  assert.ok(entries.every(({ eventType }) => eventType === 'api_client.token_issued'));
  const { entries: none } = await client.audit.entries({ query: { actorId: 'nobody' } });
  assert.deepEqual(none, []);
});
