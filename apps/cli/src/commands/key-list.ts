import type { Command } from 'commander';
import { ask } from '../agent-socket.ts';
import { createOutput } from '../output.ts';
import { type KeyList, keyListText } from './key-slots.ts';

/** `holdfast key list`: what opens the archive, what was struck and what it still opens. */
export function registerKeyList(key: Command): void {
  key
    .command('list')
    .description('what opens the archive besides this computer, since when, and what older ways in still open')
    .action(async ({ json }: { readonly json?: boolean }) => {
      const list = await ask<KeyList>('key.list');
      createOutput(json ?? false).result(list, keyListText(list));
    });
}
