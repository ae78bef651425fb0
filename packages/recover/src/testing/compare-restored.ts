import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';

/** The contents of all regular files below a folder, by path below it, as latin1. */
export function readFiles(folder: Buffer, below = ''): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const name of readdirSync(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([folder, Buffer.from('/'), name]);
    const shown = below + name.toString('latin1');
    const stat = lstatSync(path);
    if (stat.isDirectory()) for (const [inner, bytes] of readFiles(path, `${shown}/`)) files.set(inner, bytes);
    else if (stat.isFile()) files.set(shown, readFileSync(path));
  }
  return files;
}

/** Checks that a folder holds exactly these files. */
export function assertFiles(folder: string, expected: ReadonlyMap<string, Buffer>): void {
  const found = readFiles(Buffer.from(folder));
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
  for (const [path, bytes] of expected) assert.ok(found.get(path)!.equals(bytes), path);
}
