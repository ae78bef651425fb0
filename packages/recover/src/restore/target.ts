import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { RecoverError, systemCode } from '../errors.ts';

/** An open directory of the target; names are reached through its descriptor, so no link above them is ever followed. */
export type OpenDirectory = { readonly fd: number; readonly fullPath: Buffer };

const asDirectory = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const viaDescriptors = existsSync('/proc/self/fd');

/**
 * The path of a name in an open directory, for this process.
 *
 * On Linux it goes through the descriptor: no depth is too deep for it, and nothing above the name is looked up again.
 * Elsewhere it is the full path, which a system may refuse for its length.
 */
export function pathIn(directory: OpenDirectory, name: Buffer | string): Buffer {
  const base = viaDescriptors ? Buffer.from(`/proc/self/fd/${directory.fd}`) : directory.fullPath;
  return Buffer.concat([base, Buffer.from('/'), Buffer.from(name as string)]);
}

/** The same path for a child process. */
export function pathForChild(directory: OpenDirectory, name: Buffer | string): Buffer {
  const base = viaDescriptors ? Buffer.from(`/proc/${process.pid}/fd/${directory.fd}`) : directory.fullPath;
  return Buffer.concat([base, Buffer.from('/'), Buffer.from(name as string)]);
}

/** Makes a directory, readable by its owner only, and opens it. Throws what the system says. */
export function makeDirectory(above: OpenDirectory, name: Buffer): OpenDirectory {
  const path = pathIn(above, name);
  mkdirSync(path, 0o700);
  return openDirectory(above, name);
}

/** Opens a directory without following a link. Throws what the system says. */
export function openDirectory(above: OpenDirectory, name: Buffer): OpenDirectory {
  const fullPath = viaDescriptors ? above.fullPath : pathIn(above, name);
  return { fd: openSync(pathIn(above, name), asDirectory), fullPath };
}

/** The directory everything goes below, and a private one inside it where files grow until they are whole. */
export type Target = { readonly root: OpenDirectory; readonly staging: OpenDirectory; readonly stagingName: Buffer };

/**
 * Opens the target, making it where it is missing.
 *
 * @throws target.not_empty when it holds anything; target.unusable when it cannot be made or opened
 */
export function openTarget(outDir: string): Target {
  const fullPath = Buffer.from(resolve(outDir));
  try {
    mkdirSync(fullPath, { recursive: true, mode: 0o700 });
    const entries = readdirSync(fullPath);
    if (entries.length > 0) throw new RecoverError('target.not_empty', { target: outDir, entries: entries.length });
    const root = { fd: openSync(fullPath, constants.O_RDONLY | constants.O_DIRECTORY), fullPath };
    const stagingName = Buffer.from(`.holdfast-recover-${randomBytes(6).toString('hex')}`);
    return { root, staging: makeDirectory(root, stagingName), stagingName };
  } catch (cause) {
    if (cause instanceof RecoverError) throw cause;
    throw new RecoverError('target.unusable', { target: outDir, system: systemCode(cause) }, { cause });
  }
}

/** Takes the private directory away and closes both. */
export function closeTarget(target: Target): void {
  for (const name of readdirSync(pathIn(target.staging, '.'), { encoding: 'buffer' }))
    unlinkSync(pathIn(target.staging, name));
  closeSync(target.staging.fd);
  rmdirSync(pathIn(target.root, target.stagingName));
  closeSync(target.root.fd);
}

type Level = { open: OpenDirectory | undefined; readonly device: bigint; readonly inode: bigint };

const OPEN_LEVELS = 128;

/**
 * The way from the target's root down to the directory that is being filled.
 *
 * Keeps at most 128 levels open, so any depth works: an upper level that was closed is opened again through `..` of the
 * one below it, and must be the same directory.
 */
export class DirectoryStack {
  readonly #levels: Level[];
  #open = 1;
  readonly #beforeClosing: () => Promise<void>;

  constructor(root: OpenDirectory, beforeClosing: () => Promise<void>) {
    this.#levels = [levelOf(root)];
    this.#beforeClosing = beforeClosing;
  }

  /** The directory that is being filled. */
  get top(): OpenDirectory {
    return this.#levels[this.#levels.length - 1]!.open!;
  }

  async push(directory: OpenDirectory): Promise<void> {
    this.#levels.push(levelOf(directory));
    this.#open += 1;
    if (this.#open <= OPEN_LEVELS) return;
    await this.#beforeClosing(); // what still waits may name the directory that is closed now
    const oldest = this.#levels.find((level, index) => index > 0 && level.open !== undefined)!;
    closeSync(oldest.open!.fd);
    oldest.open = undefined;
    this.#open -= 1;
  }

  /** Leaves the directory that is being filled; it stays open and belongs to the caller. */
  pop(): OpenDirectory {
    const left = this.#levels.pop()!.open!;
    this.#open -= 1;
    const above = this.#levels[this.#levels.length - 1]!;
    if (above.open !== undefined) return left;
    const reopened = { fd: openSync(pathIn(left, '..'), asDirectory), fullPath: left.fullPath };
    const level = levelOf(reopened);
    if (level.inode !== above.inode || level.device !== above.device) {
      closeSync(reopened.fd);
      throw new RecoverError('target.unusable', {
        what: 'a directory of the target was moved while it was being filled',
      });
    }
    above.open = reopened;
    this.#open += 1;
    return left;
  }
}

function levelOf(directory: OpenDirectory): Level {
  const { dev, ino } = fstatSync(directory.fd, { bigint: true });
  return { open: directory, device: dev, inode: ino };
}
