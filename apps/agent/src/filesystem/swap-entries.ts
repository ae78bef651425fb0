/**
 * For tests, as a process of its own: swaps two entries of a folder for each other as fast as it can, until its standard
 * input ends. Arguments: the folder and the two names. Writes `swapping` once it does.
 */
import { renameEntry } from './change-entries.ts';
import { nameBytes } from './file-name.ts';
import { openDirectory } from './open-relative.ts';

const [, , path, first, second] = process.argv;
if (path === undefined || first === undefined || second === undefined) throw new Error('needs a folder and two names');
const directoryFd = openDirectory(path);
const one = { directoryFd, name: nameBytes(first) };
const other = { directoryFd, name: nameBytes(second) };

process.stdin.resume().once('end', () => process.exit(0));
process.stdout.write('swapping\n');
swap();

function swap(): void {
  // An even number, so that both are where they were whenever this process ends by itself.
  for (let i = 0; i < 1000; i++) renameEntry(one, other, 'exchange');
  setImmediate(swap);
}
