import { constants } from 'node:fs';
import { link, open, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { Random } from '@holdfast/base';
import { kmsErrors } from './kms.ts';
import { isForeign } from './state-folder.ts';

/**
 * The text of a file that is this user's and nobody else's to read, judged by the descriptor that is read; undefined when there is none.
 *
 * @throws kms.foreign_key_file, kms.exposed_key_file
 */
export async function readOwnFile(filePath: string): Promise<string | undefined> {
  const file = await open(filePath, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!file) return undefined;
  try {
    const facts = await file.stat();
    if (isForeign(facts)) throw kmsErrors.foreign_key_file({ filePath });
    if (process.platform !== 'win32' && (facts.mode & 0o077) !== 0) throw kmsErrors.exposed_key_file({ filePath });
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Writes a file of mode 0600 unless there is one: it appears whole; says whether it was this one. */
export async function createOwnFile(filePath: string, text: string, random: Random): Promise<boolean> {
  const draft = await writeDraft(filePath, text, random);
  const isFirst = await link(draft, filePath).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  await unlink(draft);
  await syncFolder(path.dirname(filePath));
  return isFirst;
}

/** Puts a file of mode 0600 in the place of the one there is: a crash leaves the one or the other, whole. One caller at a time. */
export async function replaceOwnFile(filePath: string, text: string, random: Random): Promise<void> {
  await removeDrafts(filePath);
  await rename(await writeDraft(filePath, text, random), filePath);
  await syncFolder(path.dirname(filePath));
}

/** What a crash left holds what the file holds. */
async function removeDrafts(filePath: string): Promise<void> {
  const folder = path.dirname(filePath);
  const drafts = (await readdir(folder)).filter((name) => name.startsWith(`.${path.basename(filePath)}.`));
  for (const name of drafts) await unlink(path.join(folder, name));
}

async function writeDraft(filePath: string, text: string, random: Random): Promise<string> {
  const draft = path.join(path.dirname(filePath), `.${path.basename(filePath)}.${random(8).toHex()}`);
  const file = await open(draft, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  return draft;
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
