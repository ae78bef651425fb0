/** Where versions that are taken in belong: the folders of the line, and those that it has no more or never had. */
import type { BranchFolder } from '../branch/branch-versions.ts';
import { fileKey } from '../format/map-key.ts';
import { encodeRow } from '../format/row.ts';
import type { MapEntry } from '../format/tree-node.ts';
import { type ArchiveState, type DirectoryPlace, placeOf, rootDirectory } from '../tree/state.ts';
import type { PendingRow } from './commit-writer.ts';

const noName = new Uint8Array(0);
const absent = encodeRow({ type: 'absent', absence: 'gone' });

type Found = {
  readonly place: DirectoryPlace;
  /** It is not there now: what is in it needs no row that says so of itself. */
  readonly isHidden: boolean;
};

/**
 * The places of one commit. A folder that is not there now is there for the versions' numbers alone: its entry comes with
 * them, and the row that its name has now comes over it.
 */
export class TakenPlaces {
  /** Rows of folders, under the number of the first version. */
  readonly folders: MapEntry[] = [];
  /** What names have now: put again, under the number of the commit itself. */
  readonly present: PendingRow[] = [];
  /** Bytes of both. */
  rowBytes = 0;
  readonly #state: ArchiveState;
  readonly #first: number;
  readonly #since: number;
  readonly #newDirectory: () => number;
  readonly #found = new Map<string, Found>();

  /**
   * `first`: the number of the first version. `since`: number of the newest commit when taking in began.
   */
  constructor(
    state: ArchiveState,
    facts: { readonly first: number; readonly since: number; readonly newDirectory: () => number },
  ) {
    this.#state = state;
    this.#first = facts.first;
    this.#since = facts.since;
    this.#newDirectory = facts.newDirectory;
  }

  /** Where a name below some folders belongs; what has it now is put again with the commit. */
  async placeOf(
    folders: readonly BranchFolder[],
    name: Uint8Array,
  ): Promise<{ readonly directory: number; readonly name: Uint8Array }> {
    let at: Found = { place: rootDirectory, isHidden: false };
    for (const folder of folders) at = await this.#enter(at, folder);
    if (!at.isHidden) await this.#keepPresent(at.place, name);
    return { directory: at.place.directoryNumber, name };
  }

  async #enter(parent: Found, folder: BranchFolder): Promise<Found> {
    const key = `${parent.place.directoryNumber}/${Buffer.from(folder.name).toString('hex')}`;
    let found = this.#found.get(key);
    if (!found) this.#found.set(key, (found = await this.#find(parent, folder)));
    return found;
  }

  async #find(parent: Found, folder: BranchFolder): Promise<Found> {
    const state = this.#state;
    const now = parent.isHidden ? undefined : await state.rowAt(parent.place, folder.name, state.head);
    const place = now && placeOf(now.row);
    if (place) return { place, isHidden: false };
    const isTop = !parent.isHidden;
    if (isTop) await this.#keepPresent(parent.place, folder.name);
    return { place: await this.#show(parent, folder, isTop), isHidden: true };
  }

  /** Has a folder be there again: with what was taken into it before, if it was made for that. */
  async #show({ place: parent }: Found, { name, own }: BranchFolder, isTop: boolean): Promise<DirectoryPlace> {
    const rows = await this.#state.versions(parent.directoryNumber, name);
    const last = rows.flatMap(({ row }) => placeOf(row) ?? []).at(-1);
    const isOurs = last !== undefined && last.since > this.#since;
    const directoryNumber = last?.directoryNumber ?? this.#newDirectory();
    const since = isOurs ? last.since : this.#first;
    const sets = own.sets ? { sets: own.sets } : {};
    if (isTop || !isOurs) {
      const entry = encodeRow({ type: 'directory', ...sets, directoryNumber, since });
      this.#put(parent.directoryNumber, name, entry);
    }
    if (!isOurs) {
      const hangs = { directoryNumber: parent.directoryNumber, name };
      this.#put(directoryNumber, noName, encodeRow({ ...own, directoryNumber, since, parent: hangs }));
    }
    return { directoryNumber, since };
  }

  #put(directory: number, name: Uint8Array, value: Uint8Array): void {
    this.folders.push({ key: fileKey(directory, name, this.#first), value });
    this.rowBytes += value.length + name.length + 64;
  }

  async #keepPresent(place: DirectoryPlace, name: Uint8Array): Promise<void> {
    const now = await this.#state.rowAt(place, name, this.#state.head);
    const row = now ? encodeRow(now.row) : absent;
    this.present.push({ directory: place.directoryNumber, name, row });
    this.rowBytes += row.length + name.length + 64;
  }
}
