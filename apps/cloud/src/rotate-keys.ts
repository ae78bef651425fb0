import { assert, type Clock } from '@holdfast/base';
import { sql } from 'kysely';
import type { InstallationDeps } from './bootstrap.ts';
import { writeAudit } from './modules/audit/index.ts';
import { operator } from './platform/context.ts';
import { keyChangeErrors, type KmsKeyFacts, type KmsProvider } from './platform/kms.ts';
import type { Log } from './platform/log.ts';
import type { Database, TenantTx } from './platform/postgres.ts';
import { instant, text, type Columns, type Rows } from './platform/table.ts';
import { wrappedColumns, type WrappedColumn } from './wrapped-columns.ts';

/** What changing keys needs. */
export type RotateDeps = {
  readonly provider: KmsProvider;
  /** The connections of `hf_migrate`, which owns every table: no login of a running server may change a wrapped secret. */
  readonly owner: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Writes down that it was done. */
  readonly record: (done: Rotation) => Promise<void>;
  /** How long secrets that were wrapped just before a key was added may take to be stored; later ones are refused. */
  readonly settleMs?: number;
};

/** What a change of keys did. */
export type Rotation = {
  /** Whether it went on with one that had been interrupted. */
  readonly wasUnfinished: boolean;
  readonly rewrappedSecrets: number;
  readonly removedKeyIds: readonly string[];
};

/** How keys stand. */
export type KeysStatus = {
  readonly provider: KmsProvider['kind'];
  /** Oldest first; of each role the last one wraps. */
  readonly keys: readonly (KmsKeyFacts & { readonly wraps: boolean; readonly secrets: number })[];
  /** Whether a change of keys was interrupted: older keys are there still. */
  readonly isUnfinished: boolean;
};

/** What a change of keys writes besides the secrets themselves. */
export const tables = { retired_keys: { key_id: text, retired_at: instant } } as const satisfies Readonly<
  Record<string, Columns>
>;

const SETTLE_MS = 5_000;

/**
 * Changes the keys: adds new ones, wraps every secret anew with them, and removes the old ones. The server may run meanwhile.
 *
 * Interrupted at any point it is run again, and goes on. Before an old key is removed the database refuses whatever names it, and is
 * looked through once more: a secret that a running server stores late is found, or was not stored.
 * @throws kms_change.incomplete where a secret does not open; the old keys stay
 */
export async function rotateKeys(deps: RotateDeps): Promise<Rotation> {
  const { provider, owner, clock, settleMs = SETTLE_MS } = deps;
  const wasUnfinished = olderOf(await provider.listKeys()).length > 0;
  await provider.addKeys();
  const removedKeyIds = olderOf(await provider.listKeys());
  await provider.rewrapOwn();
  const before = await rewrapAll(deps);
  await clock.sleep(settleMs);
  await retireKeys(owner, removedKeyIds, new Date(clock.now()));
  const late = await rewrapAll(deps);
  await refuseLeft(owner, removedKeyIds);
  await provider.removeKeys(removedKeyIds);
  const done = { wasUnfinished, rewrappedSecrets: before + late, removedKeyIds };
  await deps.record(done);
  return done;
}

/** How keys stand, and how many secrets each has wrapped. */
export async function readKeysStatus({ provider, owner }: Pick<RotateDeps, 'provider' | 'owner'>): Promise<KeysStatus> {
  const keys = await provider.listKeys();
  const counts = new Map<string, number>();
  for (const of of wrappedColumns)
    for (const { wrapped } of await readColumn(owner, of))
      counts.set(keyIdOf(wrapped), (counts.get(keyIdOf(wrapped)) ?? 0) + 1);
  const older = new Set(olderOf(keys));
  return {
    provider: provider.kind,
    keys: keys.map((key) => ({ ...key, wraps: !older.has(key.keyId), secrets: counts.get(key.keyId) ?? 0 })),
    isUnfinished: older.size > 0,
  };
}

/** All but the last one of each role. */
function olderOf(keys: readonly KmsKeyFacts[]): readonly string[] {
  return keys
    .filter(({ role }, at) => keys.some((key, later) => later > at && key.role === role))
    .map((key) => key.keyId);
}

type Row = { readonly key: Readonly<Record<string, string>>; readonly wrapped: string };

/** Names of tables and columns are those of `wrappedColumns`, and never come from elsewhere. */
const db = (tx: TenantTx) => tx.withTables<Record<string, Record<string, string>>>();

async function readColumn(owner: Database, { table, column, key }: WrappedColumn): Promise<readonly Row[]> {
  const rows = await owner.withoutTenant((tx) =>
    db(tx)
      .selectFrom(table)
      .select([...key, column])
      .execute(),
  );
  return rows.map((row) => ({
    key: Object.fromEntries(key.map((name) => [name, String(row[name])])),
    wrapped: String(row[column]),
  }));
}

/** Wraps anew what is not wrapped with the newest key of its role; returns how many secrets were. */
async function rewrapAll(deps: RotateDeps): Promise<number> {
  const older = new Set(olderOf(await deps.provider.listKeys()));
  let rewrapped = 0;
  for (const of of wrappedColumns) {
    for (const row of await readColumn(deps.owner, of)) {
      if (older.has(keyIdOf(row.wrapped)) && (await rewrapRow(deps, of, row))) rewrapped++;
    }
  }
  return rewrapped;
}

/** False where the row was changed or removed meanwhile, or does not open: it is counted later. */
async function rewrapRow({ provider, owner, log }: RotateDeps, of: WrappedColumn, row: Row): Promise<boolean> {
  const { role, context } = of.of(row.key);
  const kms = provider.forRole(role);
  try {
    const secret = await kms.unwrap(row.wrapped, context);
    const wrapped = await kms.wrap(secret, context);
    secret.fill(0);
    return await owner.withoutTenant((tx) => replaceWrapped(tx, of, { ...row, wrapped, was: row.wrapped }));
  } catch (err) {
    log.error({ err, table: of.table, role }, 'a wrapped secret was not wrapped anew');
    return false;
  }
}

async function replaceWrapped(
  tx: TenantTx,
  { table, column }: WrappedColumn,
  { key, wrapped, was }: Row & { readonly was: string },
): Promise<boolean> {
  let update = db(tx)
    .updateTable(table)
    .set({ [column]: wrapped })
    .where(column, '=', was);
  for (const [name, value] of Object.entries(key)) update = update.where(name, '=', value);
  return (await update.executeTakeFirst()).numUpdatedRows === 1n;
}

/** Names of tables are no values that could be bound: each is fixed text. */
function lockOf(table: string) {
  const locks: Readonly<Record<string, ReturnType<typeof sql>>> = {
    log_keys: sql`lock table log_keys in share mode`,
    escrow_keys: sql`lock table escrow_keys in share mode`,
    'keystore.tenant_keys': sql`lock table keystore.tenant_keys in share mode`,
    token_keys: sql`lock table token_keys in share mode`,
    receipt_keys: sql`lock table receipt_keys in share mode`,
    shared_secrets: sql`lock table shared_secrets in share mode`,
  };
  const lock = locks[table];
  assert(lock, 'every table with wrapped secrets is locked by name');
  return lock;
}

/** From then on no row that names one of the keys is stored: the locks wait for those under way. */
async function retireKeys(owner: Database, keyIds: readonly string[], at: Date): Promise<void> {
  await owner.withoutTenant(async (tx) => {
    const own = tx.withTables<Rows<typeof tables>>();
    for (const table of new Set(wrappedColumns.map((of) => of.table))) await lockOf(table).execute(own);
    for (const keyId of keyIds)
      await own
        .insertInto('retired_keys')
        .values({ key_id: keyId, retired_at: at })
        .onConflict((c) => c.doNothing())
        .execute();
  });
}

/** @throws kms_change.incomplete */
async function refuseLeft(owner: Database, keyIds: readonly string[]): Promise<void> {
  const left: Record<string, number> = {};
  for (const of of wrappedColumns) {
    const rows = (await readColumn(owner, of)).filter(({ wrapped }) => keyIds.includes(keyIdOf(wrapped)));
    if (rows.length > 0) left[of.table] = rows.length;
  }
  if (Object.keys(left).length > 0) throw keyChangeErrors.incomplete({ left });
}

function keyIdOf(wrapped: string): string {
  return wrapped.split('.')[1] ?? '';
}

/** Writes a change of keys to the log of the installation's own tenant. */
export async function recordRotation(
  { system, clock }: InstallationDeps,
  installationId: string,
  { removedKeyIds, ...facts }: Rotation,
): Promise<void> {
  const at = new Date(clock.now());
  const about = {
    tenantId: installationId,
    at,
    actor: operator,
    outcome: 'done',
    eventType: 'master_keys.rotated',
  } as const;
  await system.withTenant(installationId, (tx) => writeAudit(tx, { ...about, facts: { ...facts, removedKeyIds } }));
}
