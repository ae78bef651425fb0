import path from 'node:path';
import type { Command } from 'commander';
import { parsePort } from '../arguments.ts';
import { homeToStart } from '../config.ts';
import { createOutput } from '../output.ts';
import { startAgent } from '../up/agent.ts';

type Options = { readonly port?: number; readonly path?: string; readonly agent?: boolean; readonly json?: boolean };

/** `holdfast up`: everything on this machine, in the foreground until Ctrl-C. */
export function registerUp(program: Command): void {
  const command = program
    .command('up')
    .description(startAgent ? 'run the cloud and an enrolled agent on this machine' : 'run the cloud on this machine')
    .option('--port <number>', 'port of the cloud on localhost (8443, or the one of the last time)', parsePort)
    .addHelpText('after', '\nState lies in HOLDFAST_HOME (.holdfast in this folder). Ctrl-C stops everything.');
  if (startAgent) {
    command.option('--path <folder>', 'folder to protect (a sample folder beside HOLDFAST_HOME)');
    command.option('--no-agent', 'run the cloud alone');
  }
  command.action(async (options: Options) => {
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
