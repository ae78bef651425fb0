/** What could not be read, as far as it is known: each entry until it is looked at again, by whatever pass. */
import { lstatSync } from 'node:fs';
import type { BackupReport, LookedAt, Problem } from '@holdfast/archive';
import { joined } from '../browse/path-text.ts';

const mostProblems = 1000;

/** The entries that could not be read. */
export class UnreadBook {
  #problems: readonly Problem[] = [];
  #moreProblems = 0;
  /** The folders that the pass under way has looked into, or tried to. */
  readonly #lookedInto = new Set<string>();

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** How many more there are that are not listed. */
  get moreProblems(): number {
    return this.#moreProblems;
  }

  /** A pass over some folders looks into this one. */
  lookInto({ place: { root, names } }: LookedAt): void {
    this.#lookedInto.add(keyOf(names.reduce<Uint8Array>(joined, root.mountPoint)));
  }

  /** Folders in these that could not be looked into: nothing says that they can be now but a change of their own folder. */
  foldersIn(paths: readonly Uint8Array[]): readonly Uint8Array[] {
    if (this.#problems.length === 0) return [];
    const folders = new Set(paths.map(keyOf));
    return this.#problems.map(({ path }) => path).filter((path) => folders.has(parentKey(path)) && isFolder(path));
  }

  /** Takes in what a pass could not read; what it looked at and read is read. */
  take({ problems, moreProblems }: BackupReport, isWhole: boolean): void {
    const left = isWhole ? [] : this.#problems.filter(({ path }) => !this.#isLookedAt(path));
    const again = new Set(problems.map(({ path }) => keyOf(path)));
    this.#problems = [...left.filter(({ path }) => !again.has(keyOf(path))), ...problems].slice(-mostProblems);
    if (isWhole) this.#moreProblems = moreProblems;
    this.#lookedInto.clear();
  }

  /** A pass that came to no end says nothing. */
  forget(): void {
    this.#lookedInto.clear();
  }

  #isLookedAt(path: Uint8Array): boolean {
    if (this.#lookedInto.has(keyOf(path))) return true;
    // A folder that is there and known is not looked into for the sake of the one it lies in.
    return this.#lookedInto.has(parentKey(path)) && !isFolder(path);
  }
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}

function parentKey(path: Uint8Array): string {
  const key = keyOf(path);
  return key.slice(0, Math.max(1, key.lastIndexOf('/')));
}

function isFolder(path: Uint8Array): boolean {
  try {
    return lstatSync(Buffer.from(path)).isDirectory();
  } catch {
    // Gone, or not even to be seen.
    return false;
  }
}
