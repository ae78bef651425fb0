import type { Command } from 'commander';
import { environmentFor, homeToStart } from '../config.ts';
import { ownFolder } from '../own-folder.ts';

/** `holdfast cloud start`: a server in the foreground. */
export function registerStart(cloud: Command): void {
  cloud
    .command('start')
    .description('run the server; settings come from the environment (HOLDFAST_*), the log goes to standard output')
    .action(async () => {
      const { readCloudConfig, runCloud } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(homeToStart(process.cwd())));
      ownFolder(config.homeDir);
      await runCloud(config);
    });
}
