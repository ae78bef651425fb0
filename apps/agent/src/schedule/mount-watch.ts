/** Whether something was mounted or unmounted above or below what is protected. */
import { listMounts } from '../filesystem/index.ts';
import { isPathAtOrBelow } from '../sets/backup-set.ts';

/** Compares what is mounted with the last look. */
export class MountWatch {
  readonly #roots: () => readonly Uint8Array[];
  #seen = '';

  /** `roots` are the folders that are protected, as things are when it is called. */
  constructor(roots: () => readonly Uint8Array[]) {
    this.#roots = roots;
  }

  /** Returns whether something is different from the last look; a folder mounted anew in its old place is. */
  look(): boolean {
    const before = this.#seen;
    this.#seen = mountsAround(this.#roots());
    return this.#seen !== before;
  }
}

function mountsAround(protectedRoots: readonly Uint8Array[]): string {
  const roots = protectedRoots.map((path) => Buffer.from(path).toString());
  const matters = (mountPoint: string) =>
    roots.some((root) => isPathAtOrBelow(root, mountPoint) || isPathAtOrBelow(mountPoint, root));
  return listMounts()
    .filter(({ mountPoint }) => matters(Buffer.from(mountPoint).toString()))
    .map(({ mountId, device }) => `${mountId}:${device}`)
    .join(' ');
}
