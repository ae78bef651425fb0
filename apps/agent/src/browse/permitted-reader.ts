/**
 * An archive as one user may see it: an entry is there when its recorded owner and mode let the user read it, and those of
 * all folders above let the user pass. Everything else does not exist.
 */
import {
  type ArchiveState,
  type DirectoryPlace,
  type FoundPath,
  type FoundRow,
  type ListedRow,
  type MapEntry,
  parseFileKey,
  parseRow,
  type PathVersion,
  placeOf,
  type RestoreReader,
  type Row,
} from '@holdfast/archive';
import { type Caller, mayAccess, rights } from './caller.ts';
import { OpenVolumes } from './open-volumes.ts';

const noName = new Uint8Array();

/** The state as `caller` may see it; the state itself for who may see everything. */
export function readerFor(state: ArchiveState, caller: Caller): RestoreReader {
  return caller.isPrivileged ? state : new PermittedReader(state, caller);
}

class PermittedReader implements RestoreReader {
  readonly #state: ArchiveState;
  readonly #caller: Caller;
  readonly #volumes: OpenVolumes;
  readonly resolveExtent: RestoreReader['resolveExtent'];
  readonly resolveList: RestoreReader['resolveList'];

  constructor(state: ArchiveState, caller: Caller) {
    this.#state = state;
    this.#caller = caller;
    this.#volumes = new OpenVolumes(state, caller);
    this.resolveExtent = (extent) => state.resolveExtent(extent);
    this.resolveList = (list) => state.resolveList(list);
  }

  get head(): number {
    return this.#state.head;
  }

  async lookup(names: readonly Uint8Array[], commit: number): Promise<FoundPath | undefined> {
    if (!(await this.#mayReach(names, commit))) return undefined;
    const found = await this.#state.lookup(names, commit);
    if (!found || names.length === 0) return found;
    // A folder that may only be passed through is found, and shows nothing.
    const row = found.directory ? found.own?.row : found.entry?.row;
    const wanted = found.directory ? rights.search : rights.read;
    return row && mayAccess(row, this.#caller, wanted) ? found : undefined;
  }

  /** Whether all folders above may be passed through, those above the volume too. */
  async #mayReach(names: readonly Uint8Array[], commit: number): Promise<boolean> {
    const [volume] = names;
    if (volume && !(await this.#volumes.includes(volume, commit))) return false;
    for (let depth = 1; depth < names.length; depth++) {
      const above = await this.#state.lookup(names.slice(0, depth), commit);
      if (!above?.own || !mayAccess(above.own.row, this.#caller, rights.search)) return false;
    }
    return true;
  }

  async *list(place: DirectoryPlace, commit: number): AsyncGenerator<ListedRow> {
    if (!(await this.#mayList(place, commit))) return;
    for await (const listed of this.#state.list(place, commit)) {
      const isVolume = place.directoryNumber === 0;
      const isThere = isVolume ? this.#volumes.includes(listed.name, commit) : this.#isShown(listed.row, commit);
      if (await isThere) yield listed;
    }
  }

  async rowAt(place: DirectoryPlace, name: Uint8Array, commit: number): Promise<FoundRow | undefined> {
    const found = await this.#state.rowAt(place, name, commit);
    if (!found || name.length === 0) return found;
    return (await this.#isShown(found.row, commit)) ? found : undefined;
  }

  async history(names: readonly Uint8Array[]): Promise<readonly PathVersion[]> {
    const shown: PathVersion[] = [];
    for (const version of await this.#state.history(names)) {
      if (!(await this.#mayReach(names, version.from))) continue;
      if (await this.#isShown(version.row, version.from)) shown.push(version);
    }
    return shown;
  }

  /** A row is there when the user could have seen it while it was in force: when it came, or last before it went. */
  async *range(from: Uint8Array, to?: Uint8Array): AsyncGenerator<MapEntry> {
    let waiting: MapEntry | undefined;
    for await (const entry of this.#state.range(from, to)) {
      if (waiting && (await this.#wasShown(waiting, entry))) yield waiting;
      waiting = entry;
    }
    if (waiting && (await this.#wasShown(waiting, undefined))) yield waiting;
  }

  async #wasShown({ key, value }: MapEntry, next: MapEntry | undefined): Promise<boolean> {
    const row = parseRow(value);
    // That a name is gone is only asked of one that was shown before.
    if (row.type === 'absent') return true;
    // It is shown to nobody, and says where bytes of somebody's file lie.
    if (row.type === 'partial') return false;
    const { directoryNumber, name, commit } = parseFileKey(key);
    const after = next && parseFileKey(next.key);
    const isReplaced = after?.directoryNumber === directoryNumber && Buffer.compare(after.name, name) === 0;
    const last = isReplaced ? after.commit - 1 : this.head;
    for (const at of commit === last ? [commit] : [commit, last]) {
      if ((await this.#isEntryShown({ directoryNumber, name, row }, at)) && (await this.#mayEnter(directoryNumber, at)))
        return true;
    }
    return false;
  }

  async #isEntryShown(
    { directoryNumber, name, row }: { readonly directoryNumber: number; readonly name: Uint8Array; readonly row: Row },
    commit: number,
  ): Promise<boolean> {
    if (directoryNumber === 0) return this.#volumes.includes(name, commit);
    return (await this.#mayList({ directoryNumber, since: 0 }, commit)) && this.#isShown(row, commit);
  }

  /** Whether all folders above a directory, by where it hung at a commit, may be passed through. */
  async #mayEnter(directoryNumber: number, commit: number): Promise<boolean> {
    const passed = new Set<number>();
    for (let at = directoryNumber; at !== 0;) {
      if (passed.has(at)) return false;
      passed.add(at);
      const own = (await this.#state.rowAt({ directoryNumber: at, since: 0 }, noName, commit))?.row;
      if (!own?.parent || !mayAccess(own, this.#caller, rights.search)) return false;
      const { parent } = own;
      if (parent.directoryNumber === 0 && !(await this.#volumes.includes(parent.name, commit))) return false;
      at = parent.directoryNumber;
    }
    return true;
  }

  async #mayList(place: DirectoryPlace, commit: number): Promise<boolean> {
    if (place.directoryNumber === 0) return true;
    const own = await this.#state.rowAt(place, noName, commit);
    return own !== undefined && mayAccess(own.row, this.#caller, rights.list);
  }

  async #isShown(row: Row, commit: number): Promise<boolean> {
    if (row.type !== 'directory') return mayAccess(row, this.#caller, rights.read);
    // A folder's own row has no number: what is asked is who may see it.
    if (row.directoryNumber === undefined) return mayAccess(row, this.#caller, rights.list);
    const own = await this.#state.rowAt(placeOf(row)!, noName, commit);
    return own !== undefined && mayAccess(own.row, this.#caller, rights.list);
  }
}
