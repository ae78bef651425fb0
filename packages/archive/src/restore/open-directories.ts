import { restoreErrors } from './errors.ts';
import type { TargetDirectory } from './messages.ts';
import type { Target } from './target.ts';

const mostOpen = 128;

/**
 * The directories one worker has open. Each is reached from the root of the target name by name, through no link, and
 * must be the one that was recorded: so whoever swaps or moves directories meanwhile gains nothing.
 */
export class OpenDirectories {
  readonly #target: Target;
  readonly #rootFd: number;
  readonly #open = new Map<number, number>();

  constructor(target: Target, rootFd: number) {
    this.#target = target;
    this.#rootFd = rootFd;
  }

  /** The descriptor of a directory, valid until many others were asked for. @throws restore.folder_replaced */
  fdOf(directory: TargetDirectory): number {
    if (directory.directory === 0) return this.#rootFd;
    const known = this.#open.get(directory.directory);
    const fd = known ?? this.#walk(directory);
    this.#open.delete(directory.directory);
    this.#open.set(directory.directory, fd);
    if (this.#open.size > mostOpen) this.#closeOldest();
    return fd;
  }

  /** Closes all but the root. */
  close(): void {
    for (const fd of this.#open.values()) this.#target.close(fd);
    this.#open.clear();
  }

  #closeOldest(): void {
    const [oldest] = this.#open;
    if (oldest === undefined) return;
    this.#open.delete(oldest[0]);
    this.#target.close(oldest[1]);
  }

  #walk({ names, inode, device }: TargetDirectory): number {
    let fd = this.#rootFd;
    for (const name of names) {
      const parent = fd;
      try {
        fd = this.#target.openDirectory(parent, name);
      } finally {
        if (parent !== this.#rootFd) this.#target.close(parent);
      }
    }
    const found = this.#target.statDescriptor(fd);
    if (found.inode === inode && found.device === device) return fd;
    this.#target.close(fd);
    throw restoreErrors.folder_replaced();
  }
}
