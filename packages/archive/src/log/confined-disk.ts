import { constants, existsSync } from 'node:fs';
import { type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { type Disk, type Reach, systemErrorCode } from './disk.ts';
import { logErrors } from './errors.ts';

const { O_RDONLY, O_DIRECTORY = 0, O_NOFOLLOW = 0 } = constants as Partial<typeof constants>;
const descriptors = '/proc/self/fd';
/** O_PATH, which Node does not name: a folder on the way need only let pass, as another user's home does. */
const placeOnly = process.platform === 'linux' ? 0o10_000_000 : O_RDONLY!;

/**
 * A disk whose names below one folder lead nowhere else: each folder on the way from `top` down is opened below the
 * descriptor of the one before, never through a link, whoever swaps one for a link meanwhile. So are those on the way to
 * `top` where it is reached as `real`; then it is not made either, by whatever method.
 *
 * `disk` does what is done, by names that begin at a descriptor. Where the system has no such names (Linux has them as
 * long as /proc is there), it is `disk` itself.
 *
 * @throws log.not_a_file, by its methods
 */
export function confinedTo(top: string, disk: Disk, reach: Reach = 'any'): Disk {
  if (!existsSync(descriptors)) return disk;
  const { readBody } = disk;
  const at = { top, reach };
  const inParent = async <T>(path: string, work: (name: string) => Promise<T>): Promise<T> => {
    const names = namesBelow(top, path);
    if (names.length > 0) return inFolder(at, names.slice(0, -1), (folder) => work(`${folder}/${names.at(-1)!}`));
    return reach === 'real' ? inFolder(at, [], work) : work(path);
  };
  const inFolderOf = async <T>(path: string, work: (folder: string) => Promise<T>): Promise<T> =>
    inFolder(at, namesBelow(top, path), work);
  return {
    ...(readBody && { readBody: (path, ...facts) => inParent(path, (name) => readBody(name, ...facts)) }),
    open: (path, mode) => inParent(path, (name) => disk.open(name, mode)),
    list: (path) => inFolderOf(path, (folder) => disk.list(folder)).catch(unless('ENOENT', [])),
    stat: (path) => inParent(path, (name) => disk.stat(name)).catch(unless('ENOENT', undefined)),
    makeDirectory: (path) => makeFolders(at, path, disk),
    rename: (from, to) => inParent(from, (old) => inParent(to, (name) => disk.rename(old, name))),
    link: (from, to) => inParent(from, (old) => inParent(to, (name) => disk.link(old, name))),
    remove: (path) => inParent(path, (name) => disk.remove(name)).catch(unless('ENOENT', undefined)),
    syncDirectory: (path) => inFolderOf(path, (folder) => disk.syncDirectory(folder)),
  };
}

/** Where names begin, and how that folder is reached. */
type Top = { readonly top: string; readonly reach: Reach };

/** The names that lead from `top` to a path at or below it. */
function namesBelow(top: string, path: string): readonly string[] {
  if (path !== top && !path.startsWith(top.endsWith('/') ? top : `${top}/`)) throw logErrors.not_a_file({ path });
  const names = path.slice(top.length).split('/').filter(Boolean);
  if (names.some((name) => name === '.' || name === '..')) throw logErrors.not_a_file({ path });
  return names;
}

/** Runs `work` with a name of a folder at or below `top` that stays that folder's as long as it is open. */
async function inFolder<T>(
  { top, reach }: Top,
  names: readonly string[],
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const isReal = reach === 'real';
  const start = isReal ? '/' : top;
  const steps = isReal ? [...namesBelow('/', top), ...names] : names;
  let at = await openFolder(start, start);
  try {
    for (const [place, name] of steps.entries()) {
      const below = await openFolder(nameOf(at, name), path.join(start, ...steps.slice(0, place + 1)));
      await at.close();
      at = below;
    }
    return await work(`${descriptors}/${at.fd}`);
  } finally {
    await at.close();
  }
}

function nameOf({ fd }: FileHandle, name: string): string {
  return `${descriptors}/${fd}/${name}`;
}

async function openFolder(name: string, path: string): Promise<FileHandle> {
  return open(name, placeOnly | O_DIRECTORY | O_NOFOLLOW).catch((error: unknown) => {
    const isOther = ['ELOOP', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
    throw isOther ? logErrors.not_a_file({ path }, error) : error;
  });
}

async function makeFolders(at: Top, path: string, disk: Disk): Promise<void> {
  const names = namesBelow(at.top, path);
  if (names.length === 0)
    return at.reach === 'real' ? inFolder(at, [], async () => undefined) : disk.makeDirectory(path);
  for (const [place, name] of names.entries()) {
    await inFolder(at, names.slice(0, place), async (folder) => {
      const made = `${folder}/${name}`;
      await mkdir(made, { mode: 0o700 }).catch(unless('EEXIST', undefined));
      if (!(await lstat(made)).isDirectory()) throw logErrors.not_a_file({ path });
    });
  }
}

function unless<T>(code: string, value: T): (error: unknown) => T {
  return (error) => {
    if (systemErrorCode(error) === code) return value;
    throw error;
  };
}
