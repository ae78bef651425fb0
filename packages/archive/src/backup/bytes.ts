export { compareBytes } from '../format/cursor.ts';

/** A path of `directory` and one name below it. */
export function joinPath(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const bare = directory.length === 1 && directory[0] === 0x2f;
  const start = bare ? 0 : directory.length;
  const path = new Uint8Array(start + 1 + name.length);
  if (!bare) path.set(directory);
  path[start] = 0x2f;
  path.set(name, start + 1);
  return path;
}

/** The names of an absolute path, the root being none. */
export function namesOf(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let start = 0, end = 0; end <= path.length; end++) {
    if (end < path.length && path[end] !== 0x2f) continue;
    if (end > start) names.push(path.subarray(start, end));
    start = end + 1;
  }
  return names;
}
