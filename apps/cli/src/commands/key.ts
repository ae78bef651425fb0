import type { Command } from 'commander';
import { registerKeyExport } from './key-export.ts';
import { registerKeyLog } from './key-log.ts';
import { registerKeyShowRecovery } from './key-show-recovery.ts';

/** `holdfast key ...`: what opens the archive without this computer. */
export function registerKey(program: Command): void {
  const key = program.command('key').description('what opens the archive without this computer').helpCommand(false);
  registerKeyShowRecovery(key);
  registerKeyExport(key);
  registerKeyLog(key);
}
