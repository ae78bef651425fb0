import { runCommandLine } from './program.ts';

// Not process.exit: what was written must arrive, in a pipe too.
process.exitCode = await runCommandLine(process.argv.slice(2));
