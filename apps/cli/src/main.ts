import { outliveReaders } from './output.ts';
import { runCommandLine } from './program.ts';

let lostOutput = 0;
outliveReaders((exitCode) => {
  lostOutput = exitCode;
  process.exitCode ||= exitCode;
});
// Not process.exit: what was written must arrive, in a pipe too.
process.exitCode = (await runCommandLine(process.argv.slice(2))) || lostOutput;
