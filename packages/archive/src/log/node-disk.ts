import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { readBodyInThread } from './body-thread-pool.ts';
import { confinedTo } from './confined-disk.ts';
import { type Disk, type DiskFile, type OpenMode, systemErrorCode } from './disk.ts';
import { logErrors } from './errors.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
/** Never through a link, never waiting for the other end of a FIFO. */
const always = O_NOFOLLOW | O_NONBLOCK;
const flags = {
  read: O_RDONLY! | always,
  write: O_RDWR! | always,
  create: O_RDWR! | O_CREAT! | O_EXCL! | always,
} as const satisfies Record<OpenMode, number>;

/**
 * The machine's own file system. Files are made for the owner alone.
 *
 * Others may be able to write where an archive folder lies, and whoever writes there for a service writes as root: what
 * stands in place of a file or folder and is none is refused. @throws log.not_a_file
 */
export const nodeDisk: Disk = {
  below: (top, reach) => confinedTo(top, nodeDisk, reach),
  open: openPlainFile,
  list: async (path) => {
    const names = await readdir(path).catch(unless('ENOENT', [] as string[]));
    return names.toSorted();
  },
  stat: async (path) => {
    const facts = await stat(path).catch(unless('ENOENT', undefined));
    return facts && { sizeBytes: facts.size, modifiedAtMs: facts.mtimeMs, identity: `${facts.dev}:${facts.ino}` };
  },
  makeDirectory: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    if (!(await lstat(path)).isDirectory()) throw logErrors.not_a_file({ path });
  },
  rename,
  link: async (from, to) => {
    try {
      await link(from, to);
      return true;
    } catch (error) {
      if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemErrorCode(error) ?? '')) return false;
      throw error;
    }
  },
  remove: (path) => rm(path, { force: true }),
  syncDirectory,
  readBody: readBodyInThread,
};

async function openPlainFile(path: string, mode: OpenMode): Promise<DiskFile> {
  const handle = await open(path, flags[mode], 0o600).catch((error: unknown) => {
    throw systemErrorCode(error) === 'ELOOP' ? logErrors.not_a_file({ path }, error) : error;
  });
  try {
    if (!(await handle.stat()).isFile()) throw logErrors.not_a_file({ path });
    return wrap(handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Windows has no way to flush a directory through a handle Node can open; NTFS journals names itself. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unless<T>(code: string, value: T): (error: unknown) => T {
  return (error) => {
    if (systemErrorCode(error) === code) return value;
    throw error;
  };
}

function wrap(handle: FileHandle): DiskFile {
  return {
    read: async (target, position) => {
      let done = 0;
      while (done < target.length) {
        const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    write: async (bytes, position) => {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
        done += bytesWritten;
      }
    },
    // fdatasync is enough: it flushes the size too, and nothing here rests on the times.
    sync: () => handle.datasync(),
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    size: async () => (await handle.stat()).size,
    close: () => handle.close(),
  };
}
