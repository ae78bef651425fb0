import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import { type KeyChange, keyChangeText } from './key-slots.ts';

/** `holdfast key use-standard`: without an own key, with escrow where the organisation asks for it. */
export function registerKeyUseStandard(key: Command): void {
  key
    .command('use-standard')
    .description(
      'strike an archive key password or custom key, and have escrow again where the organisation asks for it',
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .action(async ({ dryRun, json }: { readonly dryRun?: boolean; readonly json?: boolean }) => {
      const change = await ask<KeyChange>('key.use-standard', dryRun ? { dryRun } : {});
      const added = change.added.length > 0 || change.kept.some(({ kind }) => kind === 'escrow');
      const opened = added
        ? 'The organisation can open this archive again.'
        : 'No own key opens this archive any more.';
      createOutput(json ?? false).result(change, keyChangeText(change, opened));
    });
}
