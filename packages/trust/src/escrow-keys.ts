import { createHash } from 'node:crypto';
import { defineErrors } from '@holdfast/base';
import { canonicalJson } from './canonical-json.ts';
import { forms, isCount, isOneOf, readMembers, wrongField, type Field } from './document-shape.ts';
import { parseVerifierKey } from './signed-note.ts';

/** Failures of reading a tenant's escrow keys; `details.field` is what is wrong. */
export const escrowKeysErrors = defineErrors('escrow_keys', {
  malformed: ['invalid', 'The text is not the escrow keys of a tenant'],
});

/**
 * The public keys to which a tenant's escrow slots are sealed, as one document: what an agent pins when it enrols.
 *
 * Its private halves are never in one place: the role api has that of the log, the keystore those of its own.
 */
export type TenantEscrowKeys = {
  readonly version: 1;
  readonly installationId: string;
  readonly tenantUid: string;
  /** Counts from 1; a later document is believed where the keystore and the log of the one before signed it. */
  readonly number: number;
  /** X25519, 32 bytes, base64url: the inner layer. */
  readonly keystoreKey: string;
  /** Verifier key (note) of what the keystore states: that a slot opens, that new keys follow these. */
  readonly keystoreVerifier: string;
  /** X25519, 32 bytes, base64url: the outer layer. */
  readonly logSealingKey: string;
};

/** The name under which a tenant's keystore signs. */
export function keystoreKeyName(installationId: string, tenantUid: string): string {
  return `holdfast/${installationId}/${tenantUid}/keystore`;
}

/** The document: canonical JSON (RFC 8785). @throws escrow_keys.malformed */
export function formatEscrowKeys(keys: TenantEscrowKeys): string {
  const text = canonicalJson(keys);
  parseEscrowKeys(text);
  return text;
}

/** Reads a document that anybody may have written: canonical, of these members and no others. @throws escrow_keys.malformed */
export function parseEscrowKeys(text: string): TenantEscrowKeys {
  const members = readMembers(text, escrowKeysErrors.malformed);
  const field = wrongField(members, shape);
  if (field !== undefined) throw escrowKeysErrors.malformed({ field });
  const keys = members as unknown as TenantEscrowKeys;
  if (!isNamed(keys)) throw escrowKeysErrors.malformed({ field: 'keystoreVerifier' });
  return keys;
}

/** SHA-256 of the document, hex: what an enrolment token has. */
export function escrowKeysSha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

const shape: { readonly [K in keyof TenantEscrowKeys]: Field } = {
  version: isOneOf(1),
  installationId: forms.uuid,
  tenantUid: forms.uuid,
  number: isCount(1),
  keystoreKey: forms.key32,
  keystoreVerifier: (value) => typeof value === 'string' && value.length <= 400,
  logSealingKey: forms.key32,
};

/** Whether the verifier is a key, in the name of this tenant's keystore. */
function isNamed({ keystoreVerifier, installationId, tenantUid }: TenantEscrowKeys): boolean {
  try {
    return parseVerifierKey(keystoreVerifier).name === keystoreKeyName(installationId, tenantUid);
  } catch {
    return false;
  }
}
