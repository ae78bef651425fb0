import { newId, type Clock } from '@holdfast/base';
import { addApiClient } from './modules/api-clients/index.ts';
import { writeAudit } from './modules/audit/index.ts';
import { addEscrowKeys, prepareEscrowKeys } from './modules/escrow/index.ts';
import { insertLogKey, makeLogKey, type NewLogKey } from './modules/logs/index.ts';
import { addUser, insertAssignment, type RoleId } from './modules/identity/index.ts';
import { addOrg } from './modules/orgs/index.ts';
import { addTenant, findInstallationId, insertInstallation, insertTenant, locate } from './modules/tenants/index.ts';
import type { Keystore } from './keystore/operations.ts';
import { operator } from './platform/context.ts';
import type { Kms } from './platform/kms.ts';
import { hashPassword } from './platform/password.ts';
import type { Database, TenantTx } from './platform/postgres.ts';
import { newPassword, replaceCredentials } from './replace-credentials.ts';

/**
 * What preparing an installation needs: the connections of `hf_system` and the `Kms` of the role api. Whoever has both is an operator:
 * they come from the master keys alone, and the database lets no other login add a tenant.
 */
export type InstallationDeps = { readonly system: Database; readonly kms: Kms; readonly clock: Clock };

/** The same with the keystore, which makes its half of each tenant's escrow keys. */
export type BootstrapDeps = InstallationDeps & { readonly keystore: Pick<Keystore, 'makeTenantKeys'> };

/** A tenant that was made, with the credentials that are shown this once. */
export type NewTenant = {
  readonly tenantUid: string;
  readonly slug: string;
  readonly adminUsername: string;
  readonly adminPassword: string;
  readonly apiClientId: string;
  readonly apiClientSecret: string;
};

/**
 * Gives the installation its identity and its own tenant, once; returns the identity. Run after every migration.
 *
 * The installation's tenant has the installation's id, no address and no people; its log holds what concerns no customer.
 */
export async function prepareInstallation({ system, kms, clock }: InstallationDeps): Promise<string> {
  const known = await system.withoutTenant((tx) => findInstallationId(tx));
  if (known !== undefined) return known;
  const installationId = newId<'installation'>(clock.now());
  const logKey = await makeLogKey(kms, installationId, installationId);
  return system.withTenant(installationId, async (tx) => {
    const at = new Date(clock.now());
    await insertInstallation(tx, { installation_id: installationId, created_at: at });
    const winner = await findInstallationId(tx);
    if (winner !== installationId) return winner ?? installationId;
    const names = { slug: 'installation', name: 'This installation', registration_key: 'none' };
    await insertTenant(tx, { tenant_id: installationId, ...names, created_at: at, modified_at: at });
    await addLogKey(tx, installationId, { logKey, at });
    return installationId;
  });
}

/**
 * Makes a tenant: its log key, its escrow keys, its root org, an administrator, and an API client with the administrator's role.
 *
 * @throws tenants.slug_taken, tenants.slug_invalid, keystore.away
 */
export async function createTenant(
  deps: BootstrapDeps,
  wanted: { readonly slug: string; readonly name: string; readonly adminUsername: string },
): Promise<NewTenant> {
  const { system, kms, clock } = deps;
  const installationId = await prepareInstallation(deps);
  const tenantId = newId<'tenant'>(clock.now());
  const logKey = await makeLogKey(kms, installationId, tenantId);
  const escrowKeys = await prepareEscrowKeys({ ...deps, installationId }, { tenantId, logVerifier: logKey.verifier });
  const adminPassword = newPassword();
  const passwordHash = await hashPassword(adminPassword);
  const at = new Date(clock.now());
  return system.withTenant(tenantId, async (tx) => {
    await addTenant(tx, { tenantId, slug: wanted.slug, name: wanted.name, at });
    await addLogKey(tx, tenantId, { logKey, at });
    const orgId = await addOrg(tx, { tenantId, name: wanted.name, at });
    const roleId: RoleId = 'customer-cloud-admin';
    const userId = await addUser(tx, { tenantId, orgId, username: wanted.adminUsername, passwordHash, at });
    const role = { org_id: orgId, role_id: roleId, assigned_at: at };
    await insertAssignment(tx, { tenant_id: tenantId, principal_id: userId, ...role });
    const client = await addApiClient(tx, { tenantId, orgId, name: 'First API client', roleId, at });
    const target = { kind: 'tenant', id: tenantId };
    const after = { slug: wanted.slug, name: wanted.name, adminUsername: wanted.adminUsername };
    await writeAudit(tx, {
      tenantId,
      at,
      actor: operator,
      outcome: 'done',
      eventType: 'tenant.created',
      target,
      after,
    });
    await addEscrowKeys(tx, { tenantId, at }, escrowKeys);
    return {
      tenantUid: tenantId,
      slug: wanted.slug,
      adminUsername: wanted.adminUsername,
      adminPassword,
      apiClientId: client.clientId,
      apiClientSecret: client.clientSecret,
    };
  });
}

/** The tenant that `holdfast up` makes. */
export const quickstartTenant = { slug: 'home', name: 'Home', adminUsername: 'admin' } as const;

/**
 * Makes the tenant of `holdfast up` once, and says what is needed to enter it.
 *
 * `kept` says whether the caller still has the credentials of an earlier run; then the tenant is left as it is. They
 * cannot be shown again: without them the administrator gets a new password, which ends the old one, and a new API
 * client is made. So a crash between making the tenant and writing its credentials down costs nothing.
 */
export async function bootstrapQuickstart(
  deps: BootstrapDeps,
  kept: boolean,
): Promise<{ readonly status: 'kept' } | ({ readonly status: 'new' } & NewTenant)> {
  await prepareInstallation(deps);
  const tenantId = await locate(deps.system, 'tenant_slug', quickstartTenant.slug);
  if (tenantId === undefined) return { status: 'new', ...(await createTenant(deps, quickstartTenant)) };
  if (kept) return { status: 'kept' };
  const credentials = await replaceCredentials(deps, { tenantId, adminUsername: quickstartTenant.adminUsername });
  const { slug, adminUsername } = quickstartTenant;
  return { status: 'new', tenantUid: tenantId, slug, adminUsername, ...credentials };
}

async function addLogKey(tx: TenantTx, tenantId: string, { logKey, at }: { logKey: NewLogKey; at: Date }) {
  const { verifier, wrappedPrivateKey } = logKey;
  await insertLogKey(tx, { tenant_id: tenantId, verifier, wrapped_private_key: wrappedPrivateKey, created_at: at });
}
