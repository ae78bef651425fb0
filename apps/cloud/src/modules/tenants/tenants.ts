import { defineErrors, systemRandom, type Random } from '@holdfast/base';
import type { Customer } from '@holdfast/contract';
import type { TxContext } from '../../platform/context.ts';
import { sha256 } from '../../platform/digest.ts';
import { locateTenant, type Database, type TenantTx } from '../../platform/postgres.ts';
import * as store from './store.ts';

/** Failures of making tenants. */
export const tenantErrors = defineErrors('tenants', {
  not_found: ['not_found', 'There is no tenant with that address'],
  slug_taken: ['conflict', 'Another tenant has that address'],
  slug_invalid: ['invalid', 'A tenant address is 1 to 63 of a-z, 0-9 and -, not beginning with -'],
});

/** What may be found before a tenant is known. */
export type LocatorKind = 'tenant_slug' | 'session' | 'api_client' | 'device' | 'enrollment_token';

/** The tenant the caller belongs to. */
export async function getCustomer(ctx: TxContext): Promise<Customer> {
  const tenant = await store.findTenant(ctx.tx, ctx.tenantId);
  if (!tenant) throw new Error('the tenant of a verified principal is gone');
  return { name: tenant.name, registrationKey: tenant.registration_key, tenantId: tenant.tenant_id };
}

/** Whether a tenant may be used at all. */
export async function isTenantActive(tx: TenantTx, tenantId: string): Promise<boolean> {
  return (await store.findTenant(tx, tenantId))?.state === 'active';
}

/** Adds a tenant and makes its address findable. @throws tenants.slug_taken, tenants.slug_invalid */
export async function addTenant(
  tx: TenantTx,
  tenant: { readonly tenantId: string; readonly slug: string; readonly name: string; readonly at: Date },
): Promise<void> {
  const { tenantId, slug, name, at } = tenant;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(slug)) throw tenantErrors.slug_invalid({ slug });
  const registration = { registration_key: newRegistrationKey(), created_at: at, modified_at: at };
  await store.insertTenant(tx, { tenant_id: tenantId, slug, name, ...registration });
  if (!(await addLocator(tx, tenantId, 'tenant_slug', slug))) throw tenantErrors.slug_taken({ slug });
}

/** Makes an identifier findable before its tenant is known; false when it is taken. */
export function addLocator(tx: TenantTx, tenantId: string, kind: LocatorKind, identifier: string): Promise<boolean> {
  return store.insertLocator(tx, { tenant_id: tenantId, kind, identifier_sha256: sha256(identifier) });
}

/** The tenant of an identifier that may be found; undefined when it is nobody's. */
export function locate(database: Database, kind: LocatorKind, identifier: string): Promise<string | undefined> {
  return locateTenant(database, kind, sha256(identifier));
}

/** A key that names an org or tenant to installers: 16 characters nobody confuses, in groups of four. */
export function newRegistrationKey(random: Random = systemRandom): string {
  const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789';
  const characters = Array.from(random(16), (byte) => alphabet[byte % 32]!);
  return [0, 4, 8, 12].map((at) => characters.slice(at, at + 4).join('')).join('-');
}
