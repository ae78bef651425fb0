import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { findHome } from '../config.ts';
import { homeErrors } from '../errors.ts';
import { createOutput } from '../output.ts';

type Options = { readonly system?: boolean; readonly json?: boolean };

/** `holdfast cloud trust-ca`: makes this user's browsers trust the local CA. */
export function registerTrustCa(cloud: Command): void {
  cloud
    .command('trust-ca')
    .description("put the local CA into this user's trust store, so that browsers accept the address")
    .option('--system', 'into the store of the whole machine instead (Linux, as root)')
    .action(async (options: Options) => {
      const { trustCa } = await import('../trust-store.ts');
      const homeDir = findHome(process.cwd());
      const caFile = path.join(homeDir ?? '.', 'tls', 'ca.pem');
      if (homeDir === undefined || !existsSync(caFile)) throw homeErrors.not_found({ caFile: path.resolve(caFile) });
      const stores = await trustCa(caFile, { forWholeMachine: options.system ?? false });
      const text = ['The local CA is trusted now in', ...stores].join('\n  ');
      createOutput(options.json ?? false).result({ caFile, stores }, `${text}\nRestart browsers that are open.`);
    });
}
