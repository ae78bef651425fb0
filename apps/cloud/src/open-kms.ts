import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Assembly } from './assembly.ts';
import { configErrors, type CloudConfig } from './config.ts';
import type { KmsProvider, KmsRole } from './platform/kms.ts';
import { openKeyFileKms } from './platform/kms-file.ts';
import { kmsSecretReader, type KmsSecretPlace, type ReadKmsSecret } from './platform/kms-secret.ts';

/** File of the master keys below HOLDFAST_HOME. */
export const MASTER_KEY_FILE = 'master-keys.json';
/** Files of what is kept beside keys that lie elsewhere. */
export const ELSEWHERE_FILES = { pkcs11: 'token-keys.json', aws: 'aws-keys.json', vault: 'vault-keys.json' } as const;

/** Certificates are handed on to the keystore, whose messages are bounded. */
const MAX_CA_BYTES = 64 * 1024;

/** The file without which the keys of a server are not found. */
export function keysFileOf({ homeDir, kms }: CloudConfig): string {
  if (kms.kind !== 'file') return path.join(homeDir, ELSEWHERE_FILES[kms.kind]);
  return kms.filePath ?? path.join(homeDir, MASTER_KEY_FILE);
}

/** Whether a server was ever started with these settings. */
export function hasKeys(config: CloudConfig): boolean {
  return existsSync(keysFileOf(config));
}

/** Opens the keys that the settings name, and makes them where there are none; closed with the rest of the server. */
export async function openKms(assembly: Assembly): Promise<KmsProvider> {
  const provider = await openProvider(assembly);
  assembly.undo.defer('keys', () => provider.close());
  return provider;
}

/** What a kind of place needs is loaded for that alone. */
async function openProvider({ config, clock, random }: Assembly): Promise<KmsProvider> {
  const { kms, kmsSecretFile: secretFile, credentialsDir } = config;
  const readSecret = kmsSecretReader({ secretFile, credentialsDir });
  const file = keysFileOf(config);
  if (kms.kind === 'file') return openKeyFileKms(file, { nowMs: clock.now(), random, readSecret });
  if (kms.kind === 'pkcs11') {
    const { openTokenKms } = await import('./platform/kms-pkcs11.ts');
    return openTokenKms(file, { ...kms, readPin: readSecret, random });
  }
  if (kms.kind === 'aws') {
    const { openAwsKms } = await import('./platform/kms-aws.ts');
    return openAwsKms(file, { ...kms, random, clock });
  }
  const { openVaultKms } = await import('./platform/kms-vault.ts');
  const { address, mount, namespace } = kms;
  const ca = await readAuthorities(kms.caFile);
  const readToken = tokenReader({ secretFile, credentialsDir }, readSecret);
  return openVaultKms(file, { address, mount, namespace, ca, readToken, random });
}

/** A file for each role where its name says so, and one for all where not. */
function tokenReader({ secretFile, credentialsDir }: KmsSecretPlace, readSecret: ReadKmsSecret) {
  if (!secretFile?.includes('{role}')) return () => readSecret();
  return (role: KmsRole) => kmsSecretReader({ secretFile: secretFile.replaceAll('{role}', role), credentialsDir })();
}

async function readAuthorities(caFile: string | undefined): Promise<string | null> {
  if (caFile === undefined) return null;
  const text = await readFile(caFile, 'utf8').catch((error: unknown) => {
    throw configErrors.invalid({ problems: [`HOLDFAST_KMS: ${caFile} cannot be read`] }, error);
  });
  if (text.length > MAX_CA_BYTES || !text.includes('-----BEGIN CERTIFICATE-----'))
    throw configErrors.invalid({ problems: [`HOLDFAST_KMS: ${caFile} holds no certificates, or more than 64 KiB`] });
  return text;
}
