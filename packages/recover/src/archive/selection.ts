import { RecoverError } from '../errors.ts';
import { pathParts } from './volumes.ts';

/** What is wanted of a place: all below it, or only what is named. */
export type Selection = { whole: boolean; found: boolean; readonly below: Map<string, Selection> };

/** A selection of everything. */
export const everything: Selection = { whole: true, found: true, below: new Map() };

/** Makes a selection of absolute paths; each stands for itself and all below it. @throws request.invalid */
export function selectPaths(paths: readonly (string | Uint8Array)[] | undefined): Selection {
  if (paths === undefined || paths.length === 0) return everything;
  const root: Selection = { whole: false, found: false, below: new Map() };
  for (const path of paths) {
    const parts = pathParts(Buffer.from(path as string));
    if (parts === undefined)
      throw new RecoverError('request.invalid', {
        field: 'paths',
        what: `not an absolute path: ${Buffer.from(path as string).toString()}`,
      });
    let at = root;
    for (const part of parts) {
      const below = at.below.get(part) ?? { whole: false, found: false, below: new Map() };
      at.below.set(part, below);
      at = below;
    }
    at.whole = true;
  }
  return root;
}

/** What is wanted of a name; undefined where nothing is. */
export function selectBelow(selection: Selection, name: Buffer): Selection | undefined {
  if (selection.whole) return selection;
  const below = selection.below.get(name.toString('latin1'));
  if (below !== undefined) below.found = true;
  return below;
}

/** The selected paths that were not there, as latin1. */
export function* notFound(selection: Selection, prefix = ''): Generator<string> {
  if (selection.whole && !selection.found && prefix !== '') yield prefix;
  for (const [name, below] of selection.below) yield* notFound(below, `${prefix}/${name}`);
}
