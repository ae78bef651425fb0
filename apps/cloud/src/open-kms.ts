import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Assembly } from './assembly.ts';
import type { CloudConfig } from './config.ts';
import type { KmsProvider } from './platform/kms.ts';
import { openKeyFileKms } from './platform/kms-file.ts';
import { openTokenKms } from './platform/kms-pkcs11.ts';
import { kmsSecretReader } from './platform/kms-secret.ts';

/** File of the master keys below HOLDFAST_HOME. */
export const MASTER_KEY_FILE = 'master-keys.json';
/** File of what is kept beside keys that lie elsewhere. */
export const TOKEN_KEYS_FILE = 'token-keys.json';

/** The file without which the keys of a server are not found. */
export function keysFileOf({ homeDir, kms }: CloudConfig): string {
  if (kms.kind === 'pkcs11') return path.join(homeDir, TOKEN_KEYS_FILE);
  return kms.filePath ?? path.join(homeDir, MASTER_KEY_FILE);
}

/** Whether a server was ever started with these settings. */
export function hasKeys(config: CloudConfig): boolean {
  return existsSync(keysFileOf(config));
}

/** Opens the keys that the settings name, and makes them where there are none; closed with the rest of the server. */
export async function openKms({ config, clock, random, undo }: Assembly): Promise<KmsProvider> {
  const { kms, kmsSecretFile: secretFile, credentialsDir } = config;
  const readSecret = kmsSecretReader({ secretFile, credentialsDir });
  const file = keysFileOf(config);
  const provider =
    kms.kind === 'file'
      ? await openKeyFileKms(file, { nowMs: clock.now(), random, readSecret })
      : await openTokenKms(file, { ...kms, readPin: readSecret, random });
  undo.defer('keys', () => provider.close());
  return provider;
}
