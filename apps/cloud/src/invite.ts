import type { Operator } from './app.ts';
import { writeAudit } from './modules/audit/index.ts';
import { addEnrollmentToken, type NewEnrollmentToken } from './modules/devices/index.ts';
import { findRootOrgId } from './modules/orgs/index.ts';
import { locate, tenantErrors } from './modules/tenants/index.ts';
import { operator as actor } from './platform/context.ts';

/**
 * Makes an invitation into the root org of a tenant, as the operator of the server; recorded in the tenant's log.
 *
 * @throws tenants.not_found
 */
export async function inviteDevices(
  { bootstrap: { system, clock }, server }: Omit<Operator, 'keys'>,
  wanted: { readonly slug: string; readonly uses: number; readonly days: number },
): Promise<NewEnrollmentToken> {
  const { slug, uses, days } = wanted;
  const tenantId = await locate(system, 'tenant_slug', slug);
  if (tenantId === undefined) throw tenantErrors.not_found({ slug });
  const at = new Date(clock.now());
  return system.withTenant(tenantId, async (tx) => {
    const orgId = await findRootOrgId(tx, tenantId);
    if (orgId === undefined) throw new Error('the tenant has lost its root org');
    const made = await addEnrollmentToken(tx, server, { tenantId, orgId, uses, days, at });
    const about = { tenantId, at, actor, outcome: 'done' } as const;
    const target = { kind: 'enrollment_token', id: made.tokenId };
    await writeAudit(tx, { ...about, eventType: 'enrollment_token.created', target, after: { orgId, uses, days } });
    return made;
  });
}
