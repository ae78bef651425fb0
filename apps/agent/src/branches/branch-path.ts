import type { BranchVersion } from '@holdfast/archive';
import { joined, pathToText } from '../browse/path-text.ts';

/** The path on the machine of a version: below where its volume was mounted then. */
export function pathOfNames(folders: BranchVersion['folders'], names: readonly Uint8Array[]): readonly Uint8Array[] {
  const mountPoint = folders?.[0]?.own.mountPoint;
  return mountPoint ? [mountPoint, ...names.slice(1)] : names;
}

/** A path of steps as text. */
export function branchPathText([first = new Uint8Array(0), ...names]: readonly Uint8Array[]): string {
  return pathToText(names.reduce<Uint8Array>((path, name) => joined(path, name), first));
}
