import type { Command } from 'commander';
import { systemRandom } from '@holdfast/base';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import { readPassword } from '../read-secret.ts';
import { useOwnKey } from './use-own-key.ts';

type Options = { readonly withEscrow?: boolean; readonly dryRun?: boolean; readonly json?: boolean };

/** `holdfast key set-password`: an archive key password, worked out here; the agent gets a slot and not the password. */
export function registerKeySetPassword(key: Command): void {
  key
    .command('set-password')
    .description(
      'let a password of your own open the archive, in place of escrow and of an older own key; it is asked for twice, or read as one line of standard input. Nobody can reset it',
    )
    .option(
      '--with-escrow',
      'keep escrow beside it; where an own key has taken its place, this lets the organisation in again',
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .action(async (options: Options) => {
      const output = createOutput(options.json ?? false);
      const { archiveId } = await ask<{ archiveId: string }>('key.list');
      const words = { ask: 'New archive key password (12 characters or more): ', again: 'The same again: ' };
      const password = await readPassword(words);
      const { preparePasswordSlot } = await import('@holdfast/trust');
      const slot = await preparePasswordSlot(Uint8Array.fromHex(archiveId), password, systemRandom);
      const opened = 'The archive key password opens this archive.';
      output.result(...(await useOwnKey({ choice: 'password', slot, opened, ...options })));
    });
}
