import type { RecoverError } from '../errors.ts';
import type { Row } from '../format/row.ts';
import { rowTypes } from '../format/row.ts';
import type { Archive } from './archive.ts';
import { type Child, childrenAt, type DirectoryRef, directoryOf, ownRow } from './directories.ts';
import { findOrphans } from './orphans.ts';
import { type Selection, selectBelow } from './selection.ts';
import { layOutVolumes, type Mount } from './volumes.ts';

/** A path as a chain of names; undefined is the root of what is restored. */
export type Path = { readonly above: Path | undefined; readonly name: Buffer };

/** What a walk meets, parents before children; every `enter` has its `leave`. */
export type Step =
  | { readonly kind: 'enter'; readonly path: Path; readonly row: Row | undefined }
  | { readonly kind: 'leave'; readonly path: Path }
  | { readonly kind: 'entry'; readonly path: Path; readonly row: Row }
  | { readonly kind: 'unreadable'; readonly path: Path; readonly error: RecoverError };

/** The bytes of a path, `/` before each name. */
export function pathBytes(path: Path | undefined): Buffer {
  const names: Buffer[] = [];
  for (let at = path; at !== undefined; at = at.above) names.push(at.name, Buffer.from('/'));
  return Buffer.concat(names.toReversed());
}

type Node = {
  readonly path: Path | undefined;
  readonly mount: Mount | undefined;
  readonly directory: DirectoryRef | undefined;
  readonly selection: Selection;
};

type Walking = { readonly archive: Archive; readonly commit: number; readonly seen: Set<number> };

/**
 * Walks the names of a commit, volumes under their mount points, as far as they are selected.
 *
 * A directory that is met a second time, as in a cycle, is reported and not entered. Passing `true` to `next` after an
 * `enter` leaves that directory out; its `leave` does not come then.
 */
export function* walk(
  archive: Archive,
  commit: number,
  selection: Selection,
): Generator<Step, void, boolean | undefined> {
  const walking: Walking = { archive, commit, seen: new Set() };
  const mount = layOutVolumes(archive, commit);
  if (mount.volume !== undefined) walking.seen.add(mount.volume.number);
  const stack = [openNode(walking, { path: undefined, mount, directory: mount.volume, selection })];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const next = top.children.next();
    if (next.done === true) {
      stack.pop();
      if (top.node.path !== undefined) yield { kind: 'leave', path: top.node.path };
      continue;
    }
    if (!('node' in next.value)) {
      yield next.value;
      continue;
    }
    const { node, row } = next.value;
    const skip = yield { kind: 'enter', path: node.path!, row };
    if (skip !== true) stack.push(openNode(walking, node));
  }
}

type Descent = { readonly node: Node; readonly row: Row | undefined };

function openNode(walking: Walking, node: Node): { readonly node: Node; readonly children: Generator<Step | Descent> } {
  return { node, children: childrenOf(walking, node) };
}

function* childrenOf(walking: Walking, node: Node): Generator<Step | Descent> {
  const mountsLeft = new Map(node.mount?.below);
  if (node.directory !== undefined) {
    for (const child of childrenAt(walking.archive, node.directory, walking.commit)) {
      const mount = mountsLeft.get(child.name.toString('latin1'));
      mountsLeft.delete(child.name.toString('latin1'));
      yield* stepInto(walking, node, { child, mount });
    }
  }
  for (const [name, mount] of mountsLeft) {
    const selection = selectBelow(node.selection, Buffer.from(name, 'latin1'));
    const path = { above: node.path, name: Buffer.from(name, 'latin1') };
    if (selection !== undefined) yield* descend(walking, { path, mount, directory: mount.volume, selection });
  }
  if (node.path === undefined) yield* orphansOf(walking, node.selection);
}

/** Directories whose entries are lost are put below the root, when all else has been walked. */
function* orphansOf(walking: Walking, selection: Selection): Generator<Descent> {
  if (!selection.whole || !walking.archive.mayHaveOrphans()) return;
  for (const { name, directory } of findOrphans(walking.archive, walking.commit, walking.seen)) {
    yield* descend(walking, { path: { above: undefined, name }, mount: undefined, directory, selection });
  }
}

function* stepInto(
  walking: Walking,
  above: Node,
  met: { readonly child: Child; readonly mount: Mount | undefined },
): Generator<Step | Descent> {
  const { child, mount } = met;
  const selection = selectBelow(above.selection, child.name);
  if (selection === undefined) return;
  const path = { above: above.path, name: child.name };
  if (mount !== undefined)
    yield* descend(walking, { path, mount, directory: mount.volume ?? rowDirectory(walking, child, path), selection });
  else if ('unreadable' in child) yield { kind: 'unreadable', path, error: child.unreadable };
  else if (child.row.type !== rowTypes.directory) {
    if (selection.whole) yield { kind: 'entry', path, row: child.row };
  } else yield* descend(walking, { path, mount, directory: directoryOf(child.row), selection });
}

/** The directory below a mount point's way; anything else that stands there is hidden by the mount, and named. */
function rowDirectory(walking: Walking, child: Child, path: Path): DirectoryRef | undefined {
  const directory = 'row' in child ? directoryOf(child.row) : undefined;
  if (directory === undefined) {
    walking.archive.findings.add({
      severity: 'loss',
      code: 'mount.hides',
      message: 'a volume is mounted below something that is no directory',
      path: pathBytes(path),
    });
  }
  return directory;
}

function* descend(walking: Walking, node: Node): Generator<Descent> {
  const { directory } = node;
  if (directory !== undefined && walking.seen.has(directory.number)) {
    const message = `directory ${directory.number} stands in more than one place; it is not entered again`;
    walking.archive.findings.add({ severity: 'loss', code: 'directory.twice', message, path: pathBytes(node.path) });
    return;
  }
  if (directory === undefined && node.mount === undefined) {
    walking.archive.findings.add({
      severity: 'loss',
      code: 'directory.unreadable',
      message: 'a directory has no number',
      path: pathBytes(node.path),
    });
    return;
  }
  if (directory !== undefined) walking.seen.add(directory.number);
  yield { node, row: directory === undefined ? undefined : ownRow(walking.archive, directory, walking.commit) };
}
