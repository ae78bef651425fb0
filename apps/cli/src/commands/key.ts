import type { Command } from 'commander';
import { registerKeyExport } from './key-export.ts';
import { registerKeyList } from './key-list.ts';
import { registerKeyLog } from './key-log.ts';
import { registerKeyPerson } from './key-person.ts';
import { registerKeyRelease } from './key-release.ts';
import { registerKeyRules } from './key-rules.ts';
import { registerKeyReseal } from './key-reseal.ts';
import { registerKeySetPassword } from './key-set-password.ts';
import { registerKeyShowRecovery } from './key-show-recovery.ts';
import { registerKeyUseCustom } from './key-use-custom.ts';
import { registerKeyTakeover } from './key-takeover.ts';
import { registerKeyWitness } from './key-witness.ts';
import { registerKeyUseStandard } from './key-use-standard.ts';

/** `holdfast key ...`: what opens the archive without this computer. */
export function registerKey(program: Command): void {
  const key = program.command('key').description('what opens the archive without this computer').helpCommand(false);
  registerKeyList(key);
  registerKeyShowRecovery(key);
  registerKeySetPassword(key);
  registerKeyUseCustom(key);
  registerKeyUseStandard(key);
  registerKeyReseal(key);
  registerKeyExport(key);
  registerKeyLog(key);
  registerKeyPerson(key);
  registerKeyRelease(key);
  registerKeyRules(key);
  registerKeyTakeover(key);
  registerKeyWitness(key);
}
