import { tenantKeyPurposes } from './keystore/make-tenant-keys.ts';
import { logSealingKeyPurpose } from './modules/escrow/index.ts';
import type { KmsContext, KmsRole } from './platform/kms.ts';

/** A column of wrapped secrets: what is changed when keys are. */
export type WrappedColumn = {
  readonly table: string;
  readonly column: string;
  /** The columns that name a row. */
  readonly key: readonly string[];
  /** Whom its secrets are wrapped for, and what for, by the columns of `key`. */
  readonly of: (row: Readonly<Record<string, string>>) => { readonly role: KmsRole; readonly context: KmsContext };
};

/** Every column of the database that holds wrapped secrets. A test fails for one that is not here, or is not guarded. */
export const wrappedColumns: readonly WrappedColumn[] = [
  {
    table: 'log_keys',
    column: 'wrapped_private_key',
    key: ['tenant_id', 'verifier'],
    of: ({ tenant_id: tenantId = '' }) => ({ role: 'api', context: { purpose: 'log-key', tenantId } }),
  },
  {
    table: 'escrow_keys',
    column: 'wrapped_log_sealing_key',
    key: ['tenant_id', 'number'],
    of: ({ tenant_id: tenantId = '' }) => ({ role: 'api', context: { purpose: logSealingKeyPurpose, tenantId } }),
  },
  ...Object.entries({
    wrapped_sealing_key: tenantKeyPurposes.sealing,
    wrapped_signing_key: tenantKeyPurposes.signing,
  }).map(([column, purpose]): WrappedColumn => ({
    table: 'keystore.tenant_keys',
    column,
    key: ['tenant_id', 'number'],
    of: ({ tenant_id: tenantId = '' }) => ({ role: 'keystore', context: { purpose, tenantId } }),
  })),
  {
    table: 'token_keys',
    column: 'wrapped_private_key',
    key: ['key_id'],
    of: () => ({ role: 'api', context: { purpose: 'token-signing-key' } }),
  },
  {
    table: 'receipt_keys',
    column: 'wrapped_private_key',
    key: ['key_id'],
    of: () => ({ role: 'storage', context: { purpose: 'receipt-key' } }),
  },
  {
    table: 'shared_secrets',
    column: 'wrapped',
    key: ['name', 'role'],
    of: ({ name: purpose = '', role = '' }) => ({ role: role as KmsRole, context: { purpose } }),
  },
];
