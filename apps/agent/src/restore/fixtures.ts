/** For tests of restoring: contents, and what is in a folder. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** Bytes that no compressor shortens, the same for the same seed. */
export function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE((state ^ (state >>> 15)) >>> 0, at);
  }
  return bytes;
}

/** The text of every regular file below a folder by its relative path; of anything else but folders, `not a file`. */
export function readTree(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
  const files = names.filter((name) => !lstatSync(path.join(folder, name)).isDirectory());
  return Object.fromEntries(
    files.map((name) => {
      const file = path.join(folder, name);
      return [name, lstatSync(file).isFile() ? readFileSync(file, 'utf8') : 'not a file'];
    }),
  );
}
