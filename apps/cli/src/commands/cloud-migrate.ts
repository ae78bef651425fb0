import type { Command } from 'commander';
import { environmentFor, homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';
import { ownFolder } from '../own-folder.ts';

/** `holdfast cloud migrate`: brings the database up to date without serving anything. */
export function registerMigrate(cloud: Command): void {
  cloud
    .command('migrate')
    .description('bring the database up to date and stop; a starting server does it, too')
    .action(async (options: { readonly json?: boolean }) => {
      const { migrateCloud, readCloudConfig, silentLog } = await import('@holdfast/cloud');
      const config = readCloudConfig(environmentFor(homeToStart(process.cwd())));
      ownFolder(config.homeDir);
      const applied = await migrateCloud(config, { log: silentLog });
      const text = applied.length === 0 ? 'The database is up to date.' : ['Applied:', ...applied].join('\n  ');
      createOutput(options.json ?? false).result({ applied }, text);
    });
}
