import type { Command } from 'commander';
import type { CloudConfig, KeysStatus, Rotation } from '@holdfast/cloud';
import { environmentFor, findHome, homeToStart } from '../config.ts';
import { commandErrors } from '../errors.ts';
import { createOutput } from '../output.ts';

type Json = { readonly json?: boolean };
type PassphraseOptions = Json & { readonly from?: string; readonly remove?: boolean };

/** `holdfast cloud keys ...`: the keys that wrap all other secrets of a server. */
export function registerKeys(cloud: Command): void {
  const keys = cloud
    .command('keys')
    .description('the keys that wrap all other secrets of the server; it may run meanwhile')
    .helpCommand(false);
  keys
    .command('status')
    .description('which keys there are, and how many secrets each has wrapped')
    .action(async (options: Json) => {
      const { operateCloud, readKeysStatus, silentLog } = await import('@holdfast/cloud');
      const log = silentLog;
      const status = await operateCloud(await configHere(), { log }, (operator) => readKeysStatus(operator.keys));
      createOutput(options.json ?? false).result(status, statusText(status));
    });
  keys
    .command('rotate')
    .description('add keys, wrap every secret anew with them, remove the old ones; goes on where it was interrupted')
    .action(async (options: Json) => {
      const { createLog, operateCloud, rotateKeys } = await import('@holdfast/cloud');
      const log = createLog({ level: 'error', destination: process.stderr });
      const done = await operateCloud(await configHere(), { log }, (operator) => rotateKeys(operator.keys));
      createOutput(options.json ?? false).result(done, rotationText(done));
    });
  keys
    .command('set-passphrase')
    .description('close the master key file with a passphrase, with another one, or with none')
    .option('--from <file>', 'a file with the new passphrase; "-" is standard input')
    .option('--remove', 'open the file: whoever reads it has the keys')
    .action(async (options: PassphraseOptions) => {
      if ((options.from === undefined) === (options.remove !== true))
        throw commandErrors.invalid({
          reason: 'the new passphrase is not said',
          remedy: 'give --from FILE, or --remove',
        });
      const { setPassphrase } = await import('@holdfast/cloud');
      await setPassphrase(await configHere(), options.from);
      const hasPassphrase = options.from !== undefined;
      createOutput(options.json ?? false).result({ hasPassphrase }, passphraseText(hasPassphrase));
    });
}

async function configHere(): Promise<CloudConfig> {
  const { readCloudConfig } = await import('@holdfast/cloud');
  return readCloudConfig(environmentFor(findHome(process.cwd()) ?? homeToStart(process.cwd())));
}

const places: Readonly<Record<KeysStatus['provider'], string>> = {
  file: 'a file',
  pkcs11: 'a token',
  aws: 'AWS KMS',
  vault: 'a Vault',
};

function statusText({ provider, keys, isUnfinished }: KeysStatus): string {
  const lines = keys.map(({ keyId, role, createdAt, wraps, secrets }) =>
    [
      keyId.padEnd(24),
      (role ?? 'every role').padEnd(10),
      createdAt?.slice(0, 10) ?? '',
      wraps ? 'wraps' : 'opens only',
      `${secrets} secrets`,
    ]
      .filter((part) => part !== '')
      .join('  '),
  );
  const told = `The keys are in ${places[provider]}.`;
  const unfinished = 'A change of keys was interrupted; holdfast cloud keys rotate goes on with it.';
  return [told, ...lines, ...(isUnfinished ? [unfinished] : [])].join('\n');
}

function rotationText({ wasUnfinished, rewrappedSecrets, removedKeyIds }: Rotation): string {
  const first = wasUnfinished ? 'The change of keys that was interrupted is done.' : 'The keys were changed.';
  return [
    first,
    `Secrets wrapped anew: ${rewrappedSecrets}. Keys removed: ${removedKeyIds.join(', ') || 'none'}.`,
    'A backup of the database from before opens with the keys of before alone: make a new one now.',
  ].join('\n');
}

function passphraseText(hasPassphrase: boolean): string {
  if (!hasPassphrase) return 'The master key file is open: whoever reads it has the keys.';
  return [
    'The master key file is closed with that passphrase; the server needs it when it starts next (HOLDFAST_KMS_SECRET_FILE).',
    'Keep it elsewhere, too: without it nothing of this server opens again. Older copies of the file still open as before;',
    'where one may be in wrong hands, change the keys as well: holdfast cloud keys rotate',
  ].join('\n');
}
