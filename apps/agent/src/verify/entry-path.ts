import type { ArchiveState } from '@holdfast/archive';
import { joined } from '../browse/path-text.ts';

/** Which row of an archive: a name in a directory, from a commit on. An empty name is the directory itself. */
export type EntryKey = { readonly directoryNumber: number; readonly name: Uint8Array; readonly commit: number };

const noName = new Uint8Array();
const mostDepth = 10_000;

/** The path on the machine that a row had when it came; undefined where the archive does not say. */
export async function pathOfEntry(state: ArchiveState, entry: EntryKey): Promise<Uint8Array | undefined> {
  const names: Uint8Array[] = entry.name.length > 0 ? [entry.name] : [];
  let directoryNumber = entry.directoryNumber;
  for (let depth = 0; depth < mostDepth; depth++) {
    const own = await state.rowAt({ directoryNumber, since: 0 }, noName, entry.commit);
    if (!own) return undefined;
    const { parent, mountPoint } = own.row;
    if (parent === undefined) return undefined;
    if (parent.directoryNumber === 0) return mountPoint && names.reduce<Uint8Array>(joined, mountPoint);
    names.unshift(parent.name);
    directoryNumber = parent.directoryNumber;
  }
  return undefined;
}
