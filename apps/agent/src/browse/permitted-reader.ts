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

  async *range(from: Uint8Array, to?: Uint8Array): AsyncGenerator<MapEntry> {
    for await (const entry of this.#state.range(from, to)) {
      const { directoryNumber, name, commit } = parseFileKey(entry.key);
      const place = { directoryNumber, since: 0 };
      const row = parseRow(entry.value);
      const isVolume = directoryNumber === 0 && row.type === 'directory';
      if (isVolume && !(await this.#volumes.includes(name, commit))) continue;
      const isShown = row.type === 'absent' || row.type === 'partial' || (await this.#isShown(row, commit));
      if (isShown && (await this.#mayList(place, commit))) yield entry;
    }
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
