import { closeSync, constants, fchmodSync, fstatSync, openSync } from 'node:fs';
import path from 'node:path';
import { makeFolder } from '@holdfast/agent/filesystem/make-folder';
import { homeErrors } from './errors.ts';

const othersWrite = 0o022;

/**
 * Makes a folder for state, open to its owner alone, or takes one of this user's that is there, into which nobody else may
 * write from then on; nothing is written where that is not so.
 *
 * @throws home.foreign for a folder of another user, home.not_made where there is none and none can be made
 */
export function ownFolder(folder: string): void {
  try {
    makeFolder(folder, 0o700);
    if (process.platform === 'win32') return;
    const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const { uid, mode } = fstatSync(fd);
      refuseForeign(folder, uid);
      if ((mode & othersWrite) !== 0) fchmodSync(fd, mode & 0o7777 & ~othersWrite);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code, path: at } = error as NodeJS.ErrnoException;
    if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) throw error;
    throw homeErrors.not_made({ folder, problem: problems[code] ?? code, ...(at !== folder && { at }) }, error);
  }
}

/** The same for a folder inside one that is to be this user's, too, where it is there already. */
export function ownFolderIn(homeDir: string | undefined, folder: string): void {
  if (homeDir !== undefined && folder.startsWith(`${homeDir}${path.sep}`)) ownFolder(homeDir);
  ownFolder(folder);
}

const problems: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system can only be read',
  EEXIST: 'a file has this name',
  ENOTDIR: 'a file is where a folder should be',
  ENOSPC: 'there is no room left on the disk',
  EDQUOT: 'this user has no room left on the disk',
  ELOOP: 'its links lead round in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'its name is a link that leads nowhere',
};

function refuseForeign(folder: string, uid: number): void {
  if (uid !== process.geteuid?.()) throw homeErrors.foreign({ folder });
}
