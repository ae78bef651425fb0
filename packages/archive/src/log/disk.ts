import type { ReadBody } from './body-facts.ts';

/** An open file. Positions and sizes are bytes; calls on one file may overlap. */
export type DiskFile = {
  /** Fills `target` from `position` on and returns how many bytes there were: fewer only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes all of `bytes`, or fails. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** Returns once all that was written is on stable storage. After a failure the file must not be trusted again. */
  sync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
};

/** What a file is opened for. `create` is for reading and writing, and fails with EEXIST where the name is taken. */
export type OpenMode = 'read' | 'write' | 'create';

/** Facts about a file or a directory, without opening it. `identity` stays with it when it is renamed. */
export type FileFacts = { readonly sizeBytes: number; readonly modifiedAtMs: number; readonly identity: string };

/** How a folder is reached: by any way, or as a path that leads to it from the root through no link. */
export type Reach = 'any' | 'real';

/**
 * The file system, as the archive folder sees it; injected, so that a simulator can make it fail.
 *
 * Failures are errors with the `code` of the system call (`ENOENT`, `EEXIST`, `ENOSPC`, `EIO`, …). Names made, renamed or
 * removed are on stable storage only after `syncDirectory` of the directory they are in.
 */
export type Disk = {
  /** The same disk, below one folder: its names lead nowhere else, whoever swaps a folder for a link. */
  readonly below?: (top: string, reach?: Reach) => Disk;
  /** Reads the body of a segment in a thread of its own, where there are threads: sealing must not hold up appending. */
  readonly readBody?: (path: string, ...facts: Parameters<ReadBody>) => ReturnType<ReadBody>;
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** The names in a directory, sorted; none where it does not exist. */
  list(path: string): Promise<string[]>;
  /** Undefined where nothing has that name. */
  stat(path: string): Promise<FileFacts | undefined>;
  /** Makes a directory and those above it; fine where it exists. */
  makeDirectory(path: string): Promise<void>;
  /** Renames, over an existing file too. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name; false where the file system cannot. */
  link(from: string, to: string): Promise<boolean>;
  /** Removes a file; fine where it does not exist. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
};

/** The `code` of a failed system call; undefined for any other error. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Whether a write failed for want of room: the bytes before it are safe, and it may be tried again. */
export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(systemErrorCode(error) ?? '');
}

/** Runs `work` with an open file and closes it whatever happens. */
export async function withFile<T>(
  disk: Disk,
  path: string,
  mode: OpenMode,
  work: (file: DiskFile) => Promise<T>,
): Promise<T> {
  const file = await disk.open(path, mode);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Closes several things, all of them whatever happens. @throws what the first one that failed threw */
export async function closeAll(closes: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closes) await close().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** The whole of a small file; undefined where it does not exist. @throws the system's error where it is longer than `limitBytes`. */
export async function readSmallFile(
  disk: Disk,
  path: string,
  limitBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (!(await disk.stat(path))) return undefined;
  return withFile(disk, path, 'read', async (file) => {
    const sizeBytes = await file.size();
    if (sizeBytes > limitBytes) throw Object.assign(new Error(`${path} is too long`), { code: 'EFBIG' });
    const bytes = new Uint8Array(sizeBytes);
    return bytes.subarray(0, await file.read(bytes, 0));
  });
}

/** Makes or replaces a small file so that after a crash it is the old one or the new one, whole. Returns once it is durable. */
export async function replaceFile(disk: Disk, directory: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${directory}/${name}.tmp`;
  await disk.remove(temporary);
  await withFile(disk, temporary, 'create', async (file) => {
    await file.write(bytes, 0);
    await file.sync();
  });
  await disk.rename(temporary, `${directory}/${name}`);
  await disk.syncDirectory(directory);
}
