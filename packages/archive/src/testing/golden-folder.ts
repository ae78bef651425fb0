import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

import type { GoldenArchive } from './golden-begin.ts';

/** All files of a golden archive by path: `archive/…`, `expected.json`, `key-file.txt`, `recovery-code.txt`. */
export function goldenFiles(golden: GoldenArchive): Map<string, Uint8Array> {
  const text = (content: string) => new TextEncoder().encode(content);
  const files = new Map([...golden.files].map(([path, bytes]) => [`archive/${path}`, bytes]));
  files.set('expected.json', text(formatExpected(golden.expected)));
  files.set('key-file.txt', text(golden.keyFile));
  files.set('recovery-code.txt', text(`${String(golden.expected['recoveryCode'])}\n`));
  return files;
}

/** JSON with a line for each fact and each entry of a listing. */
function formatExpected(expected: GoldenArchive['expected']): string {
  const lines = Object.entries(expected).map(([key, value]) => {
    if (key !== 'instants' || !Array.isArray(value)) return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`;
    const instants = value.map(({ commit, entries }: { commit: number; entries: unknown[] }) => {
      const listing = entries.map((entry) => `      ${JSON.stringify(entry)}`).join(',\n');
      return `    { "commit": ${commit}, "entries": [\n${listing}\n    ] }`;
    });
    return `  "instants": [\n${instants.join(',\n')}\n  ]`;
  });
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** Writes a golden archive below a folder, which is emptied first. */
export async function writeGolden(folder: string, golden: GoldenArchive): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  for (const [path, bytes] of goldenFiles(golden)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
}

/** The files below a folder by path. */
export async function readFiles(folder: string): Promise<Map<string, Uint8Array>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const files = new Map<string, Uint8Array>();
  for (const path of paths.toSorted((a, b) => (a < b ? -1 : 1))) {
    files.set(relative(folder, path).replaceAll('\\', '/'), new Uint8Array(await readFile(path)));
  }
  return files;
}
