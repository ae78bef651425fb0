import { mkdir, open } from 'node:fs/promises';
import { defineErrors } from '@holdfast/base';

/** What keeps a folder from holding a server's state. */
export const stateFolderErrors = defineErrors('state_folder', {
  foreign: ['forbidden', 'The folder belongs to another user, who could change what is in it'],
});

/** Whether a file or folder belongs to another user than the one this process acts as; on Windows never known. */
export function isForeign(facts: { readonly uid: number }): boolean {
  const own = process.geteuid?.();
  return own !== undefined && facts.uid !== own;
}

/**
 * Makes a folder of this user's own, or takes one that is there, and closes it to others.
 *
 * Judged and closed through one descriptor, so that nothing is exchanged in between.
 * @throws state_folder.foreign
 */
export async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    if (isForeign(await handle.stat())) throw stateFolderErrors.foreign({ folder });
    await handle.chmod(0o700);
  } finally {
    await handle.close();
  }
}
