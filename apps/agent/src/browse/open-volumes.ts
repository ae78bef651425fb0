/**
 * Which volumes a user may come to: one that is mounted below a private folder is as private as that folder, whatever its
 * own root says. The folders above a mount point lie in other volumes and are looked up there.
 */
import {
  type ArchiveState,
  type MountedVolume,
  namesOfPath,
  placeOf,
  rootDirectory,
  volumeOf,
} from '@holdfast/archive';
import { type Caller, mayAccess, rights } from './caller.ts';

const noName = new Uint8Array();

/** The volumes of an archive that one user may come to, by commit. */
export class OpenVolumes {
  readonly #state: ArchiveState;
  readonly #caller: Caller;
  readonly #open = new Map<number, Promise<ReadonlySet<string>>>();

  constructor(state: ArchiveState, caller: Caller) {
    this.#state = state;
    this.#caller = caller;
  }

  /** Whether the folders above the mount point of a volume let the user pass at a commit. One that is not known does not. */
  async includes(identifier: Uint8Array, commit: number): Promise<boolean> {
    let open = this.#open.get(commit);
    if (!open) this.#open.set(commit, (open = this.#openAt(commit)));
    return (await open).has(nameOf(identifier));
  }

  async #openAt(commit: number): Promise<ReadonlySet<string>> {
    const volumes = await this.#recordedVolumes(commit);
    const open = new Set<string>();
    for (const { identifier, mountNames } of volumes) {
      if (await this.#mayPass(mountNames, volumes, commit)) open.add(nameOf(identifier));
    }
    return open;
  }

  /** All volumes with where they were mounted, also where two had one place: what is shown elsewhere is no less private. */
  async #recordedVolumes(commit: number): Promise<readonly MountedVolume[]> {
    const volumes: MountedVolume[] = [];
    for await (const { name, row } of this.#state.list(rootDirectory, commit)) {
      const place = placeOf(row);
      const mountPoint = place && (await this.#state.rowAt(place, noName, commit))?.row.mountPoint;
      const mountNames = mountPoint && namesOrNone(mountPoint);
      if (mountNames) volumes.push({ identifier: name, place, mountNames });
    }
    return volumes;
  }

  async #mayPass(
    mountNames: readonly Uint8Array[],
    volumes: readonly MountedVolume[],
    commit: number,
  ): Promise<boolean> {
    for (let depth = 1; depth < mountNames.length; depth++) {
      const held = volumeOf(volumes, mountNames.slice(0, depth));
      const found = held && (await this.#state.lookup([held.volume.identifier, ...held.below], commit));
      if (!found?.own || !mayAccess(found.own.row, this.#caller, rights.search)) return false;
    }
    return true;
  }
}

function namesOrNone(mountPoint: Uint8Array): Uint8Array[] | undefined {
  try {
    return namesOfPath(mountPoint);
  } catch {
    // Not absolute: where it hung is not known.
    return undefined;
  }
}

function nameOf(identifier: Uint8Array): string {
  return Buffer.from(identifier).toString('latin1');
}
