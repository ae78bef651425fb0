import type { RoleKey } from './kms.ts';

/** What opens the keys of one role, for a role that is a process of its own: it is told this and nothing more of keys. */
export type RoleAccess =
  | {
      readonly kind: 'keys';
      /** Those of the role, oldest first; the last one wraps. */
      readonly keys: readonly RoleKey[];
    }
  | {
      readonly kind: 'pkcs11';
      readonly keySet: string;
      readonly modulePath: string;
      readonly tokenLabel: string;
      readonly pin: Uint8Array;
    };

/** Overwrites what is secret in it. */
export function overwriteAccess(access: RoleAccess): void {
  for (const secret of access.kind === 'keys' ? access.keys.map(({ key }) => key) : [access.pin]) secret.fill(0);
}
