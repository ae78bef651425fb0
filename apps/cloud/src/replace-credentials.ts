import { systemRandom, type Clock } from '@holdfast/base';
import { addApiClient } from './modules/api-clients/index.ts';
import { writeAudit } from './modules/audit/index.ts';
import {
  deleteBrowsersOf,
  deleteSessionsOf,
  findUserByName,
  updatePasswordHash,
  usernameKeyOf,
} from './modules/identity/index.ts';
import { findRootOrgId } from './modules/orgs/index.ts';
import { deleteLocators } from './modules/tenants/index.ts';
import { operator } from './platform/context.ts';
import { hashPassword } from './platform/password.ts';
import type { Database } from './platform/postgres.ts';

/** A password nobody has to invent: 128 random bits, easy to copy. */
export function newPassword(): string {
  return Buffer.from(systemRandom(16)).toString('base64url');
}

/**
 * Gives an administrator a new password and the tenant one more API client, for an operator who lost the old ones.
 *
 * Recorded in the tenant's log. The old password ends at once, and with it the administrator's sessions and what their
 * browsers were known by: else whoever stole them would stay. Other API clients stay as they are, since what uses them
 * would stop; the administrator sees and revokes them.
 */
export async function replaceCredentials(
  { system, clock }: { readonly system: Database; readonly clock: Clock },
  whose: { readonly tenantId: string; readonly adminUsername: string },
): Promise<{ readonly adminPassword: string; readonly apiClientId: string; readonly apiClientSecret: string }> {
  const { tenantId, adminUsername } = whose;
  const adminPassword = newPassword();
  const passwordHash = await hashPassword(adminPassword);
  const at = new Date(clock.now());
  return system.withTenant(tenantId, async (tx) => {
    const user = await findUserByName(tx, tenantId, usernameKeyOf(adminUsername));
    const orgId = await findRootOrgId(tx, tenantId);
    if (!user || orgId === undefined) throw new Error('the tenant has lost its administrator or its root org');
    await updatePasswordHash(tx, { tenantId, userId: user.user_id, passwordHash, at });
    const sessions = await deleteSessionsOf(tx, tenantId, user.user_id);
    await deleteLocators(tx, tenantId, { kind: 'session', identifiersSha256: sessions });
    const facts = { sessions: sessions.length, browsers: await deleteBrowsersOf(tx, tenantId, user.user_id) };
    const roleId = 'customer-cloud-admin';
    const client = await addApiClient(tx, { tenantId, orgId, name: 'API client after lost credentials', roleId, at });
    const about = { tenantId, at, actor: operator, outcome: 'done' } as const;
    const target = { kind: 'user', id: user.user_id };
    const after = { client: client.clientId };
    await writeAudit(tx, { ...about, eventType: 'credentials.replaced', target, after, facts });
    return { adminPassword, apiClientId: client.clientId, apiClientSecret: client.clientSecret };
  });
}
