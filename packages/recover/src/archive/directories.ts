import { RecoverError } from '../errors.ts';
import { checkName, peekRowType, readRow, type Row, rowTypes } from '../format/row.ts';
import type { Archive } from './archive.ts';
import { quietly } from './quietly.ts';
import { withPrefix } from './name-map.ts';
import { directoryPrefix, namePrefix, readRowKey } from './row-key.ts';

/** A directory as one came to it: its number, and the commit from which rows inside it count. */
export type DirectoryRef = { readonly number: number; readonly since: number };

/** A name in a directory at a commit: its row, or why that cannot be read. */
export type Child = { readonly name: Buffer } & ({ readonly row: Row } | { readonly unreadable: RecoverError });

type Candidate = { readonly name: Buffer; readonly value: Buffer };

/** The names in force in a directory at a commit, by rising name; absent ones and partial files do not come. */
export function* childrenAt(archive: Archive, directory: DirectoryRef, commit: number): Generator<Child> {
  let best: Candidate | undefined;
  for (const entry of archive.map.range(withPrefix(directoryPrefix(directory.number)))) {
    let key;
    try {
      key = readRowKey(entry.key);
      if (key.name.length > 0) checkName(key.name);
    } catch (error) {
      if (!(error instanceof RecoverError)) throw error;
      archive.findings.add({
        severity: 'loss',
        code: 'row.bad_key',
        message: `a row of directory ${directory.number} has a key that is none: ${String(error.details['what'])}`,
      });
      continue;
    }
    if (key.name.length === 0 || key.commit < directory.since || key.commit > commit) continue;
    if (peekRowType(entry.value) === rowTypes.partial) continue;
    if (best !== undefined && !best.name.equals(key.name)) yield* asChild(best);
    best = { name: Buffer.from(key.name), value: entry.value };
  }
  if (best !== undefined) yield* asChild(best);
}

function* asChild(candidate: Candidate): Generator<Child> {
  try {
    const row = readRow(candidate.value);
    if (row.type !== rowTypes.absent) yield { name: candidate.name, row };
  } catch (error) {
    if (!(error instanceof RecoverError)) throw error;
    yield { name: candidate.name, unreadable: error };
  }
}

/** The row of a name in force at a commit, absent rows included; undefined where there is none that can be read. */
export function childAt(
  archive: Archive,
  directory: DirectoryRef,
  wanted: { readonly name: Buffer; readonly commit: number },
): Row | undefined {
  let best: Buffer | undefined;
  const prefix = namePrefix(directory.number, wanted.name);
  for (const { key, value } of archive.map.range(withPrefix(prefix))) {
    if (key.length !== prefix.length + 8 || peekRowType(value) === rowTypes.partial) continue;
    const at = Number(key.readBigUInt64BE(prefix.length));
    if (at >= directory.since && at <= wanted.commit) best = value;
  }
  const value = best;
  return value === undefined ? undefined : quietly(() => readRow(value));
}

/** A directory's own row at a commit: its metadata; undefined where there is none that can be read. */
export function ownRow(archive: Archive, directory: DirectoryRef, commit: number): Row | undefined {
  const row = childAt(archive, directory, { name: Buffer.alloc(0), commit });
  return row?.type === rowTypes.directory ? row : undefined;
}

/** The directory an entry leads to; undefined where the row is no entry of a directory. */
export function directoryOf(row: Row): DirectoryRef | undefined {
  if (row.type !== rowTypes.directory || row.directoryNumber === undefined) return undefined;
  return { number: row.directoryNumber, since: row.since };
}
