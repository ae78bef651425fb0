import { lstatSync, renameSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { type Row, rowTypes } from '../format/row.ts';
import { runProgram } from './programs.ts';
import { type OpenDirectory, pathForChild, pathIn } from './target.ts';

/** Where something is made: in the private directory first, under a plain name, then moved to its own. */
export type Spot = { readonly staging: OpenDirectory; readonly directory: OpenDirectory; readonly name: Buffer };

const MADE = 'special';

/**
 * Makes a symbolic link, FIFO, socket or device, without opening any; why it could not be made, else undefined.
 *
 * Throws what the system says where it refuses a name.
 */
export async function makeSpecial(row: Row, spot: Spot): Promise<string | undefined> {
  if (row.type === rowTypes.symlink) {
    if (row.target === undefined || row.target.length === 0) return 'its row has no target';
    symlinkSync(row.target, pathIn(spot.directory, spot.name));
    return undefined;
  }
  const failure = row.type === rowTypes.socket ? await bindSocket(spot) : await makeNode(row, spot);
  if (failure === undefined) renameSync(pathIn(spot.staging, MADE), pathIn(spot.directory, spot.name));
  return failure;
}

async function makeNode(row: Row, spot: Spot): Promise<string | undefined> {
  const letter = row.type === rowTypes.fifo ? 'p' : row.type === rowTypes.characterDevice ? 'c' : 'b';
  const path = pathForChild(spot.staging, MADE).toString();
  if (letter !== 'p' && row.device === undefined) return 'its row has no device number';
  const numbers =
    row.device === undefined || letter === 'p' ? [] : [String(row.device.major), String(row.device.minor)];
  const outcome = await runProgram('mknod', ['-m', '600', path, letter, ...numbers], Buffer.alloc(0));
  if (!outcome.started) return 'there is no mknod program here';
  if (outcome.ok) return undefined;
  return `mknod: ${outcome.errors.trim().split(': ').at(-1) ?? ''}`;
}

/** A socket stays when the server that made it closes: it was moved away under another name before. */
function bindSocket(spot: Spot): Promise<string | undefined> {
  const made = pathIn(spot.staging, MADE).toString();
  const kept = pathIn(spot.staging, 'socket').toString();
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', (error) => resolve(`the socket could not be made: ${error.message}`));
    server.listen({ path: made }, () => {
      renameSync(made, kept);
      server.close(() => {
        renameSync(kept, made);
        resolve(undefined);
      });
    });
  });
}

/** Whether a name is taken already. */
export function isTaken(directory: OpenDirectory, name: Buffer): boolean {
  return lstatSync(pathIn(directory, name), { throwIfNoEntry: false }) !== undefined;
}
