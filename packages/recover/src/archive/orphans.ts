import type { Archive } from './archive.ts';
import { childAt, type DirectoryRef, ownRow } from './directories.ts';
import { quietly } from './quietly.ts';
import { directoryPrefix, readRowKey } from './row-key.ts';

/** A directory whose rows are there and whose entry is lost. */
export type Orphan = { readonly name: Buffer; readonly directory: DirectoryRef };

/**
 * The directories no entry leads to although none says they went: their entry was in a leaf that is lost.
 *
 * One whose own row hangs where a row is in force was deleted, replaced, or is in an orphan, and is none itself.
 */
export function* findOrphans(archive: Archive, commit: number, seen: ReadonlySet<number>): Generator<Orphan> {
  let from = directoryPrefix(1);
  for (;;) {
    const number = firstDirectory(archive, from);
    if (number === undefined) return;
    from = directoryPrefix(number + 1);
    if (seen.has(number) || hasEntry(archive, number, commit)) continue;
    const name = Buffer.from(`lost-directory-${number}`);
    const message = `the entry of directory ${number} is lost; what is in it goes to ${name.toString()}`;
    archive.findings.add({ severity: 'unproven', code: 'directory.orphan', message });
    yield { name, directory: { number, since: 0 } };
  }
}

function firstDirectory(archive: Archive, from: Buffer): number | undefined {
  for (const { key } of archive.map.range({ from, to: Buffer.of(2) })) {
    const row = quietly(() => readRowKey(key));
    if (row !== undefined) return row.directory;
  }
  return undefined;
}

/** A row where the directory hangs says that it went, or leads to it from a directory that is an orphan itself. */
function hasEntry(archive: Archive, number: number, commit: number): boolean {
  const hangsIn = ownRow(archive, { number, since: 0 }, commit)?.hangsIn;
  if (hangsIn === undefined) return false;
  return childAt(archive, { number: hangsIn.parent, since: 0 }, { name: hangsIn.name, commit }) !== undefined;
}
