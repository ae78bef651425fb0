import { type Disk, readSmallFile, systemErrorCode, withFile } from './disk.ts';
import { logErrors } from './errors.ts';

/** The process that locks, and how to tell whether another one still runs; injected, so that tests decide it. */
export type LockHost = {
  readonly hostName: string;
  /** Changes with every start of the machine; empty where the system gives none. */
  readonly bootId: string;
  readonly pid: number;
  /** Text that tells a running process from an earlier one with its number; undefined where none runs. */
  processMark(pid: number): Promise<string | undefined>;
};

/** Who holds a lock, as its file says. */
export type LockOwner = {
  readonly hostName: string;
  readonly bootId: string;
  readonly pid: number;
  readonly mark: string;
  /** Random, so that no two locks are alike. */
  readonly token: string;
};

const limitBytes = 4096;
const name = 'lock';
/** Tokens of the locks this process holds: a folder that was renamed keeps the file of one that was given back. */
const heldTokens = new Set<string>();

/**
 * Takes the lock of a folder: a file that only one can make. It stops those who ask, not those who can write there.
 *
 * A lock is stale when its machine is this one and was started anew since, or its process is gone, or gave it back where it
 * could not remove the file; then it is taken over. One of another machine never is: only `breakLock` takes it.
 * @throws log.locked with the owner.
 */
export async function takeLock(
  disk: Disk,
  dir: string,
  host: LockHost,
  options: { readonly token: string; readonly breakLock?: boolean },
): Promise<{ release(): Promise<void> }> {
  const mark = (await host.processMark(host.pid)) ?? '';
  const owner: LockOwner = { hostName: host.hostName, bootId: host.bootId, pid: host.pid, mark, token: options.token };
  const path = `${dir}/${name}`;
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await makeLock(disk, path, owner)) {
      heldTokens.add(owner.token);
      return { release: () => releaseLock(disk, path, owner) };
    }
    const other = await readLock(disk, path);
    if (other === 'gone') continue;
    if (other && !options.breakLock && !(await isStale(other, host))) {
      throw logErrors.locked({ hostName: other.hostName, pid: other.pid });
    }
    await setAside(disk, path, `${path}.${options.token}`, other);
  }
  throw logErrors.locked();
}

async function makeLock(disk: Disk, path: string, owner: LockOwner): Promise<boolean> {
  try {
    await withFile(disk, path, 'create', async (file) => {
      await file.write(Buffer.from(JSON.stringify(owner)), 0);
      await file.sync();
    });
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Undefined where the file is not a lock anybody could hold: half-written by a process that died, or damaged. */
async function readLock(disk: Disk, path: string): Promise<LockOwner | undefined | 'gone'> {
  const bytes = await readSmallFile(disk, path, limitBytes).catch((error: unknown) => {
    if (['EIO', 'EFBIG'].includes(systemErrorCode(error) ?? '')) return new Uint8Array(0);
    throw error;
  });
  if (!bytes) return 'gone';
  try {
    const owner = JSON.parse(Buffer.from(bytes).toString('utf8')) as Partial<LockOwner> | null;
    const isOwner =
      typeof owner?.hostName === 'string' && typeof owner.pid === 'number' && typeof owner.token === 'string';
    return isOwner ? { ...(owner as LockOwner), bootId: owner.bootId ?? '', mark: owner.mark ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

async function isStale(owner: LockOwner, host: LockHost): Promise<boolean> {
  if (owner.hostName !== host.hostName) return false;
  if (owner.bootId !== host.bootId) return true;
  if ((await host.processMark(owner.pid)) !== owner.mark) return true;
  return owner.pid === host.pid && !heldTokens.has(owner.token);
}

/** Takes a stale lock away, unless it is meanwhile somebody's fresh one: that is put back. */
async function setAside(disk: Disk, path: string, aside: string, stale: LockOwner | undefined): Promise<void> {
  try {
    await disk.rename(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw error;
  }
  const taken = await readLock(disk, aside);
  const isOther = taken && taken !== 'gone' && taken.token !== stale?.token;
  if (isOther && !(await disk.stat(path))) await disk.rename(aside, path);
  else await disk.remove(aside);
  if (isOther) throw logErrors.locked({ hostName: taken.hostName, pid: taken.pid });
}

async function releaseLock(disk: Disk, path: string, owner: LockOwner): Promise<void> {
  heldTokens.delete(owner.token);
  const present = await readLock(disk, path);
  if (present && present !== 'gone' && present.token === owner.token) await disk.remove(path);
}
