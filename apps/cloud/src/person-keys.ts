import type { PersonCard } from '@holdfast/contract';
import type { Operator } from './app.ts';
import { writeAudit } from './modules/audit/index.ts';
import { findLogVerifier } from './modules/logs/index.ts';
import { addPersonKey, endPersonKey, listPersonKeys, type PersonKey } from './modules/persons/index.ts';
import { locate, tenantErrors } from './modules/tenants/index.ts';

type Registered = { readonly key: PersonKey; readonly card: PersonCard };

/**
 * Registers the key of a person of a tenant, as the operator of the server; a leaf of the key log, which waits for a day.
 *
 * Nobody else can: no route does it. The card is what the person's commands find the tenant by.
 * @throws tenants.not_found, persons.key_taken
 */
export async function registerPersonKey(
  { bootstrap: { system, clock }, server }: Pick<Operator, 'bootstrap' | 'server'>,
  wanted: {
    readonly slug: string;
    readonly username: string;
    readonly publicKey: string;
    readonly mayApprove: boolean;
  },
): Promise<Registered> {
  const tenantId = await tenantOf(system, wanted.slug);
  const at = new Date(clock.now());
  const { installationId, caSha256 } = server;
  return system.withTenant(tenantId, async (tx) => {
    const logKey = await findLogVerifier(tx, tenantId);
    const deps = { installationId, writeAudit };
    const key = await addPersonKey(tx, deps, { tenantId, at }, wanted);
    const place = { url: server.publicUrl(), installationId, tenantUid: tenantId, caSha256, logKey };
    const { userUid, username, publicKey } = key;
    return { key, card: { version: 1, ...place, userUid, username, publicKey } };
  });
}

/** Ends the key of a person for good, as the operator of the server. @throws tenants.not_found, persons.not_found */
export async function endKeyOfPerson(
  { bootstrap: { system, clock }, server: { installationId } }: Operator,
  { slug, publicKey }: { readonly slug: string; readonly publicKey: string },
): Promise<PersonKey> {
  const tenantId = await tenantOf(system, slug);
  const place = { tenantId, at: new Date(clock.now()) };
  return system.withTenant(tenantId, (tx) => endPersonKey(tx, { installationId, writeAudit }, place, publicKey));
}

/** The keys of all persons of a tenant. @throws tenants.not_found */
export async function listKeysOfPersons(
  { bootstrap: { system }, server: { installationId } }: Operator,
  slug: string,
): Promise<readonly PersonKey[]> {
  const tenantId = await tenantOf(system, slug);
  return system.withTenant(tenantId, (tx) => listPersonKeys(tx, { installationId }, tenantId));
}

async function tenantOf(system: Operator['bootstrap']['system'], slug: string): Promise<string> {
  const tenantId = await locate(system, 'tenant_slug', slug);
  if (tenantId === undefined) throw tenantErrors.not_found({ slug });
  return tenantId;
}
