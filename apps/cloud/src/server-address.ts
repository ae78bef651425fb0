import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

const NAME = 'server-address';

/** Notes where the server of a folder is reached, for operators' commands; it outlives the server. */
export async function writeServerAddress(homeDir: string, url: string): Promise<void> {
  const file = path.join(homeDir, NAME);
  await writeFile(`${file}.new`, `${url}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Where the server of a folder is, or last was, reached; undefined where none has run. */
export async function readServerAddress(homeDir: string): Promise<string | undefined> {
  const text = await readFile(path.join(homeDir, NAME), 'utf8').catch(() => '');
  return URL.canParse(text.trim()) ? text.trim() : undefined;
}
