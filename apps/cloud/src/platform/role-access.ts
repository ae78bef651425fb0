import type { RoleKey } from './kms.ts';

/** Where keys are that a role uses and never sees. */
export type KeyPlace =
  | {
      readonly kind: 'pkcs11';
      readonly keySet: string;
      readonly modulePath: string;
      readonly tokenLabel: string;
    }
  | {
      readonly kind: 'aws';
      readonly keySet: string;
      readonly region: string;
      readonly endpoint: string | null;
      /** ARNs, oldest first; the last one wraps. */
      readonly keys: readonly string[];
    }
  | {
      readonly kind: 'vault';
      readonly keySet: string;
      readonly address: string;
      readonly mount: string;
      readonly namespace: string | null;
      /** Certificates (PEM) of the authorities that are believed; those of the system where null. */
      readonly ca: string | null;
    };

/** What opens the keys of one role, for a role that is a process of its own: it is told this and nothing more of keys. */
export type RoleAccess =
  | {
      readonly kind: 'keys';
      /** Those of the role, oldest first; the last one wraps. */
      readonly keys: readonly RoleKey[];
    }
  /** With the PIN, the credentials or the access token as bytes. */
  | (KeyPlace & { readonly secret: Uint8Array });

/** What is secret in it. */
export function secretsOf(access: RoleAccess): readonly Uint8Array[] {
  return access.kind === 'keys' ? access.keys.map(({ key }) => key) : [access.secret];
}

/** Overwrites what is secret in it. */
export function overwriteAccess(access: RoleAccess): void {
  for (const secret of secretsOf(access)) secret.fill(0);
}
