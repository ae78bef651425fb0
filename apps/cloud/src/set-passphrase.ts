import { systemClock, systemRandom } from '@holdfast/base';
import { cloudErrors } from './assembly.ts';
import type { CloudConfig } from './config.ts';
import { hasKeys, keysFileOf } from './open-kms.ts';
import { keyChangeErrors } from './platform/kms.ts';
import { openKeyFileKms } from './platform/kms-file.ts';
import { kmsSecretErrors, kmsSecretReader, type ReadKmsSecret } from './platform/kms-secret.ts';
import { ownFolder } from './platform/state-folder.ts';

/**
 * Closes the master key file of a server with the passphrase in `newSecretFile` (`-` is standard input), or with none.
 *
 * The server may run meanwhile. The one before, where there is one, is read as the settings say; a copy of the file still opens with it.
 * @throws cloud.never_started, kms_change.no_passphrase, kms_passphrase.*, kms_secret.*, kms.foreign_key_file
 */
export async function setPassphrase(config: CloudConfig, newSecretFile: string | undefined): Promise<void> {
  if (config.kms.kind !== 'file') throw keyChangeErrors.no_passphrase();
  if (!hasKeys(config)) throw cloudErrors.never_started({ homeDir: config.homeDir });
  await ownFolder(config.homeDir);
  const { kmsSecretFile: secretFile, credentialsDir } = config;
  const readSecret = kmsSecretReader({ secretFile, credentialsDir });
  if (secretFile === '-' && newSecretFile === '-')
    throw kmsSecretErrors.not_read({ file: '-', reason: 'standard input brings one secret' });
  const none: ReadKmsSecret = () => Promise.resolve(undefined);
  const readNew =
    newSecretFile === undefined ? none : kmsSecretReader({ secretFile: newSecretFile, credentialsDir: undefined });
  const passphrase = await readNew();
  const options = { nowMs: systemClock.now(), random: systemRandom, readSecret };
  await (await openKeyFileKms(keysFileOf(config), options)).setPassphrase(passphrase);
}
