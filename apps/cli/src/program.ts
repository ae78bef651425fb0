import { Command, CommanderError } from 'commander';
import { exitCodeOf } from '@holdfast/base';
import packageFacts from '../package.json' with { type: 'json' };
import { registerAgent } from './commands/agent.ts';
import { registerBackup } from './commands/backup.ts';
import { registerBranch } from './commands/branch.ts';
import { registerCloud } from './commands/cloud.ts';
import { registerDestination } from './commands/destination.ts';
import { registerFind } from './commands/find.ts';
import { registerKey } from './commands/key.ts';
import { registerLs } from './commands/ls.ts';
import { registerRecover } from './commands/recover.ts';
import { registerRestore } from './commands/restore.ts';
import { registerSet } from './commands/set.ts';
import { registerStatus } from './commands/status.ts';
import { registerUp } from './commands/up.ts';
import { registerVerify } from './commands/verify.ts';
import { registerVersions } from './commands/versions.ts';
import { registerWhy } from './commands/why.ts';
import { commandErrors } from './errors.ts';
import { reportFailure } from './output.ts';

/** The command line as data: every command, in the order of the help. One file below `commands/` registers each. */
export function createProgram(): Command {
  const program = new Command('holdfast')
    .description('Protects the files of computers to a cloud you run yourself.')
    .version(packageFacts.version, '--version', 'print the version')
    .helpOption('--help', 'say what a command does')
    .helpCommand(false)
    .showSuggestionAfterError()
    .addHelpText('after', EXIT_CODES);
  registerUp(program);
  registerStatus(program);
  registerBackup(program);
  registerLs(program);
  registerVersions(program);
  registerFind(program);
  registerRestore(program);
  registerWhy(program);
  registerVerify(program);
  registerSet(program);
  registerDestination(program);
  registerBranch(program);
  registerKey(program);
  registerRecover(program);
  registerAgent(program);
  registerCloud(program);
  forEachCommand(program, (command) => {
    command
      .exitOverride()
      .configureOutput({ outputError: () => undefined })
      .helpOption('--help', 'say what it does');
    if (command.commands.length === 0) command.option('--json', 'write the result as one JSON document');
  });
  return program;
}

const EXIT_CODES = `
Exit codes: 0 done, 1 fault of Holdfast, 2 bad input, 3 not signed in, 4 not allowed, 5 not found, 6 conflict,
7 limit reached, 8 not available now, 9 damaged.`;

function forEachCommand(command: Command, work: (command: Command) => void): void {
  work(command);
  for (const child of command.commands) forEachCommand(child, work);
}

/** Runs one command line (without program names); resolves with the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const wantsJson = args.includes('--json');
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, wantsJson);
    if (error.exitCode === 0) return 0; // Help or version, already written.
    if (error.code === 'commander.help') return exitCodeOf.invalid; // A group without a command: its help is written.
    const reason = error.message.replace(/^error: /, '');
    return reportFailure(commandErrors.invalid({ reason, remedy: 'holdfast COMMAND --help' }, error), wantsJson);
  }
}
