import type { TenantTx } from '../../platform/postgres.ts';
import type { Tables } from './store.ts';

const db = (tx: TenantTx) => tx.withTables<Tables>();

/** Opens a session. */
export async function insertSession(
  tx: TenantTx,
  row: {
    tenant_id: string;
    session_id: string;
    user_id: string;
    token_sha256: Uint8Array;
    created_at: Date;
    last_seen_at: Date;
    idle_ends_at: Date;
    absolute_ends_at: Date;
    ip_address: string;
    user_agent: string;
  },
) {
  await db(tx).insertInto('sessions').values(row).execute();
}

/** The session of a cookie, whether it has ended or not. */
export function findSession(tx: TenantTx, tenantId: string, tokenSha256: Uint8Array) {
  return db(tx)
    .selectFrom('sessions')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('token_sha256', '=', Buffer.from(tokenSha256))
    .executeTakeFirst();
}

/** The sessions of a user that have not ended, newest first. */
export function listOpenSessions(tx: TenantTx, tenantId: string, userId: string, at: Date) {
  return openSessions(tx, tenantId, at)
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('created_at', 'desc')
    .execute();
}

function openSessions(tx: TenantTx, tenantId: string, at: Date) {
  return db(tx)
    .selectFrom('sessions')
    .where('tenant_id', '=', tenantId)
    .where('ended_at', 'is', null)
    .where('idle_ends_at', '>', at)
    .where('absolute_ends_at', '>', at);
}

/** Notes that a session was used, which moves its idle end. */
export async function touchSession(
  tx: TenantTx,
  row: { tenantId: string; sessionId: string; at: Date; idleEndsAt: Date },
) {
  await db(tx)
    .updateTable('sessions')
    .set({ last_seen_at: row.at, idle_ends_at: row.idleEndsAt })
    .where('tenant_id', '=', row.tenantId)
    .where('session_id', '=', row.sessionId)
    .execute();
}

/** Ends an open session of a user; false when there is no such session. */
export async function endSession(
  tx: TenantTx,
  row: { tenantId: string; userId: string; sessionId: string; at: Date },
): Promise<boolean> {
  const result = await db(tx)
    .updateTable('sessions')
    .set({ ended_at: row.at })
    .where('tenant_id', '=', row.tenantId)
    .where('user_id', '=', row.userId)
    .where('session_id', '=', row.sessionId)
    .where('ended_at', 'is', null)
    .where('idle_ends_at', '>', row.at)
    .where('absolute_ends_at', '>', row.at)
    .executeTakeFirst();
  return result.numUpdatedRows === 1n;
}

/** Forgets at most 1,000 of a tenant's sessions that ended before an instant; returns their cookies' hashes. For `hf_system`. */
export async function deleteEndedSessions(
  tx: TenantTx,
  tenantId: string,
  before: Date,
): Promise<readonly Uint8Array[]> {
  const ended = db(tx)
    .selectFrom('sessions')
    .select('session_id')
    .where('tenant_id', '=', tenantId)
    .where('absolute_ends_at', '<', before)
    .limit(1_000);
  const sessions = db(tx).deleteFrom('sessions').where('tenant_id', '=', tenantId).where('session_id', 'in', ended);
  return (await sessions.returning('token_sha256').execute()).map((row) => row.token_sha256);
}

/** Forgets all sessions of a user; returns their cookies' hashes. For `hf_system`. */
export async function deleteSessionsOf(tx: TenantTx, tenantId: string, userId: string): Promise<readonly Uint8Array[]> {
  const sessions = db(tx).deleteFrom('sessions').where('tenant_id', '=', tenantId).where('user_id', '=', userId);
  return (await sessions.returning('token_sha256').execute()).map((row) => row.token_sha256);
}

/** Forgets the browsers a user has signed in from; for `hf_system`. */
export async function deleteBrowsersOf(tx: TenantTx, tenantId: string, userId: string): Promise<number> {
  const browsers = db(tx).deleteFrom('known_browsers').where('tenant_id', '=', tenantId).where('user_id', '=', userId);
  return Number((await browsers.executeTakeFirst()).numDeletedRows);
}

/** Forgets a tenant's browsers nobody has signed in from since an instant; for the login `hf_system`. */
export async function deleteUnusedBrowsers(tx: TenantTx, tenantId: string, before: Date): Promise<number> {
  const browsers = db(tx).deleteFrom('known_browsers').where('tenant_id', '=', tenantId);
  return Number((await browsers.where('last_used_at', '<', before).executeTakeFirst()).numDeletedRows);
}

/** Whether a browser's cookie is of somebody who signed in as this user before. */
export async function isKnownBrowser(
  tx: TenantTx,
  row: { tenantId: string; tokenSha256: Uint8Array; userId: string },
): Promise<boolean> {
  const found = await db(tx)
    .selectFrom('known_browsers')
    .select('user_id')
    .where('tenant_id', '=', row.tenantId)
    .where('token_sha256', '=', Buffer.from(row.tokenSha256))
    .where('user_id', '=', row.userId)
    .executeTakeFirst();
  return found !== undefined;
}

/** Remembers a browser. */
export async function insertKnownBrowser(
  tx: TenantTx,
  row: { tenant_id: string; token_sha256: Uint8Array; user_id: string; last_used_at: Date },
) {
  await db(tx).insertInto('known_browsers').values(row).execute();
}

/** A counter of attempts, made when there is none, and locked: attempts made at once are counted one after another. */
export async function lockCounter(tx: TenantTx, row: { tenantId: string; kind: string; subjectSha256: Uint8Array }) {
  const long = new Date(0);
  const key = { tenant_id: row.tenantId, subject_kind: row.kind, subject_sha256: row.subjectSha256 };
  await db(tx)
    .insertInto('attempt_counters')
    .values({ ...key, failures: 0, last_attempt_at: long, blocked_until: long })
    .onConflict((c) => c.doNothing())
    .execute();
  return db(tx)
    .selectFrom('attempt_counters')
    .selectAll()
    .where('tenant_id', '=', row.tenantId)
    .where('subject_kind', '=', row.kind)
    .where('subject_sha256', '=', Buffer.from(row.subjectSha256))
    .forUpdate()
    .executeTakeFirstOrThrow();
}

/** Sets a counter that is locked. */
export async function updateCounter(
  tx: TenantTx,
  row: { tenantId: string; kind: string; subjectSha256: Uint8Array },
  counter: { failures: number; last_attempt_at: Date; blocked_until: Date },
) {
  await db(tx)
    .updateTable('attempt_counters')
    .set(counter)
    .where('tenant_id', '=', row.tenantId)
    .where('subject_kind', '=', row.kind)
    .where('subject_sha256', '=', Buffer.from(row.subjectSha256))
    .execute();
}

/** Forgets a tenant's counters nobody has touched since an instant; for the login `hf_system`. */
export async function deleteStaleCounters(tx: TenantTx, tenantId: string, before: Date): Promise<number> {
  const counters = db(tx).deleteFrom('attempt_counters').where('tenant_id', '=', tenantId);
  return Number((await counters.where('last_attempt_at', '<', before).executeTakeFirst()).numDeletedRows);
}
