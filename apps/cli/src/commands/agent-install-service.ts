import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { defineErrors } from '@holdfast/base';
import { createOutput } from '../output.ts';
import { systemdUnit } from '../systemd-unit.ts';

const serviceErrors = defineErrors('service', {
  needs_root: ['forbidden', 'Only root can install the service'],
  unsupported: ['invalid', 'Services can be installed on Linux with systemd only'],
  not_installed: ['unavailable', 'systemd did not take the service'],
});

const unitFile = '/etc/systemd/system/holdfast-agent.service';

/** `holdfast agent install-service`: a hardened systemd unit. */
export function registerInstallService(agent: Command): void {
  agent
    .command('install-service')
    .description('install the agent as a hardened systemd service and start it')
    .option('--print', 'print the unit and install nothing')
    .option('--no-start', 'install it, to be started with the machine')
    .action((options: { readonly print?: boolean; readonly start: boolean; readonly json?: boolean }) => {
      const output = createOutput(options.json ?? false);
      const program = path.resolve(import.meta.dirname, '../../bin/holdfast.mjs');
      const unit = systemdUnit({ nodePath: process.execPath, program });
      if (options.print) return output.result({ unit }, unit.trimEnd());
      if (process.platform !== 'linux') throw serviceErrors.unsupported({ platform: process.platform });
      if (process.geteuid?.() !== 0) throw serviceErrors.needs_root({ remedy: 'run it with sudo, or as root' });
      install(unit, options.start);
      const text = `Installed ${unitFile}. ${options.start ? 'It runs: holdfast status' : 'It starts with the machine.'}`;
      return output.result({ unitFile, started: options.start }, text);
    });
}

function install(unit: string, isStarted: boolean): void {
  try {
    writeFileSync(unitFile, unit, { mode: 0o644 });
    execFileSync('systemctl', ['daemon-reload'], { stdio: 'pipe' });
    execFileSync('systemctl', ['enable', ...(isStarted ? ['--now'] : []), path.basename(unitFile)], { stdio: 'pipe' });
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    const problem = stderr?.toString().trim() || (error as Error).message;
    throw serviceErrors.not_installed({ problem, remedy: 'is systemd running here? See: systemctl status' }, error);
  }
}
