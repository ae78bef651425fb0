import { CodedError, defineErrors } from '@holdfast/base';
import type { KeyHolder } from '@holdfast/trust';
import { operator } from '../../platform/context.ts';
import type { WriteAudit } from '../../platform/context.ts';
import { approvesFromMs, KEY_WAIT_MS, registerKey, type RegisteredKey } from '../../keystore/key-register.ts';
import type { TenantTx } from '../../platform/postgres.ts';
import { addUser, findUserIdByName, listUsernames } from '../identity/index.ts';
import { appendKeyLogLeaf } from '../keylog/index.ts';
import { findRootOrgId } from '../orgs/index.ts';
import { readKnowledge } from './knowledge.ts';

/** Failures about the keys of persons. */
export const personErrors = defineErrors('persons', {
  not_found: ['not_found', 'No person has that key'],
  key_taken: ['conflict', 'The key is known as that of somebody else, or has ended'],
});

/** A person's key, for people. */
export type PersonKey = {
  readonly userUid: string;
  readonly username: string;
  readonly publicKey: string;
  /** From when on it may ask for releases. */
  readonly asksFrom: string;
  /** From when on its approvals count; null where they never do. */
  readonly approvesFrom: string | null;
  readonly endedAt: string | null;
};

/** Where keys of persons are registered: in a transaction of `hf_system`, for no route does it. */
export type PersonDeps = { readonly installationId: string; readonly writeAudit: WriteAudit };

type Place = { readonly tenantId: string; readonly at: Date };

/**
 * Registers a person's key, or says anew whether it may approve. Who is no user yet becomes one, without a way to sign in.
 *
 * It is a leaf, and waits for a day, unless it is the tenant's first key. @throws persons.key_taken
 */
export async function addPersonKey(
  tx: TenantTx,
  deps: PersonDeps,
  { tenantId, at }: Place,
  wanted: { readonly username: string; readonly publicKey: string; readonly mayApprove: boolean },
): Promise<PersonKey> {
  const { username, publicKey, mayApprove } = wanted;
  const { installationId, writeAudit } = deps;
  const userUid = (await findUserIdByName(tx, tenantId, username)) ?? (await addPerson(tx, { tenantId, username, at }));
  const { keys } = await readKnowledge(tx, { tenantUid: tenantId, installationId }, [publicKey]);
  const fact = { kind: 'person_key_registered', userUid, publicKey, mayApprove } as const;
  let key: RegisteredKey;
  try {
    const leaf = { ...fact, at: at.toISOString(), nonce: '' };
    key = registerKey(keys, leaf, { tenantUid: tenantId, nowMs: at.getTime() });
  } catch (error) {
    if (error instanceof CodedError) throw personErrors.key_taken({ publicKey }, error);
    throw error;
  }
  const target = { kind: 'user', id: userUid };
  const about = { tenantId, at, actor: operator, outcome: 'done', target, facts: { publicKey, mayApprove } } as const;
  await writeAudit(tx, { ...about, eventType: 'person_key.registered' });
  await appendKeyLogLeaf(tx, { tenantId, at }, fact);
  return shown(key, username);
}

/** Ends a person's key for good. @throws persons.not_found */
export async function endPersonKey(
  tx: TenantTx,
  deps: PersonDeps,
  { tenantId, at }: Place,
  publicKey: string,
): Promise<PersonKey> {
  const { installationId, writeAudit } = deps;
  const { keys } = await readKnowledge(tx, { tenantUid: tenantId, installationId }, []);
  const key = keys.find((one) => one.publicKey === publicKey && one.holder.kind === 'person');
  if (!key) throw personErrors.not_found({ publicKey });
  const { uid: userUid } = key.holder;
  const username = (await listUsernames(tx, tenantId, [userUid])).get(userUid) ?? userUid;
  if (key.endedMs !== null) return shown(key, username);
  const target = { kind: 'user', id: userUid };
  const about = { tenantId, at, actor: operator, outcome: 'done', target, facts: { publicKey } } as const;
  await writeAudit(tx, { ...about, eventType: 'person_key.ended' });
  await appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'person_key_ended', userUid, publicKey });
  return shown({ ...key, approvesSinceMs: null, endedMs: at.getTime() }, username);
}

/** The keys of all persons of a tenant. */
export async function listPersonKeys(
  tx: TenantTx,
  { installationId }: Pick<PersonDeps, 'installationId'>,
  tenantId: string,
): Promise<readonly PersonKey[]> {
  const { keys } = await readKnowledge(tx, { tenantUid: tenantId, installationId }, []);
  const persons = keys.filter(({ holder }) => holder.kind === 'person');
  const names = await listUsernames(
    tx,
    tenantId,
    persons.map(({ holder }) => holder.uid),
  );
  return persons.map((key) => shown(key, names.get(key.holder.uid) ?? key.holder.uid));
}

async function addPerson(
  tx: TenantTx,
  { tenantId, username, at }: Place & { readonly username: string },
): Promise<string> {
  const orgId = await findRootOrgId(tx, tenantId);
  if (orgId === undefined) throw new Error('the tenant has lost its root org');
  return addUser(tx, { tenantId, orgId, username, passwordHash: null, at });
}

function shown(key: RegisteredKey, username: string): PersonKey {
  const { holder, publicKey, firstSeenMs, isTrustedAtOnce, endedMs } = key;
  const { uid: userUid }: KeyHolder = holder;
  const approvesMs = approvesFromMs(key);
  const textOf = (ms: number) => new Date(ms).toISOString();
  return {
    userUid,
    username,
    publicKey,
    asksFrom: textOf(isTrustedAtOnce ? firstSeenMs : firstSeenMs + KEY_WAIT_MS),
    approvesFrom: approvesMs === undefined ? null : textOf(approvesMs),
    endedAt: endedMs === null ? null : textOf(endedMs),
  };
}
