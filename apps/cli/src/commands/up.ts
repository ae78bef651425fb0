import path from 'node:path';
import type { Command } from 'commander';
import { parsePort } from '../arguments.ts';
import { homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';

type Options = { readonly port?: number; readonly path?: string; readonly agent?: boolean; readonly json?: boolean };

/** `holdfast up`: everything on this machine, in the foreground until Ctrl-C. */
export function registerUp(program: Command): void {
  program
    .command('up')
    .description('run the cloud and an enrolled agent on this machine')
    .option('--port <number>', 'port of the cloud on localhost (8443, or the one of the last time)', parsePort)
    .option(
      '--path <folder>',
      'folder to protect (the one of the last time, else a sample folder beside HOLDFAST_HOME)',
    )
    .option('--no-agent', 'run the cloud alone')
    .addHelpText('after', '\nState lies in HOLDFAST_HOME (.holdfast in this folder). Ctrl-C stops everything.')
    .action(async (options: Options) => {
      const { startAgent } = await import('../up/agent.ts');
      const { runUp } = await import('../up/run-up.ts');
      const request = {
        homeDir: homeToStart(process.cwd()),
        withAgent: options.agent ?? true,
        ...(options.port !== undefined && { port: options.port }),
        ...(options.path !== undefined && { protectedPath: path.resolve(options.path) }),
      };
      await runUp(request, { output: createOutput(options.json ?? false), startAgent });
    });
}
