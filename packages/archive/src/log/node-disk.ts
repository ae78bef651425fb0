import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { readBodyInThread } from './body-thread-pool.ts';
import { type Disk, type DiskFile, type OpenMode, systemErrorCode } from './disk.ts';

const flags = { read: 'r', write: 'r+', create: 'wx+' } as const satisfies Record<OpenMode, string>;

/** The machine's own file system. Files are made for the owner alone. */
export const nodeDisk: Disk = {
  open: async (path, mode) => wrap(await open(path, flags[mode], 0o600)),
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
