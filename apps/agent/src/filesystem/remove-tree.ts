/** For tests: removes what `rmSync` cannot, paths over 4,096 bytes and folders without permissions among it. */
import { basename, dirname } from 'node:path';
import { emptyAttributes, statAt } from './attributes.ts';
import { removeDirectory, removeEntry } from './change-entries.ts';
import { nameBytes } from './file-name.ts';
import { type Descriptor, openChildDirectory, openDirectory, openPlace, withDescriptor } from './open-relative.ts';
import { readDirectory } from './read-directory.ts';
import { setMode } from './set-attributes.ts';

/** Removes a folder and all that is in it, following nothing; nothing happens where it is not there. */
export function removeTree(path: string): void {
  withDescriptor(openDirectory(dirname(path)), (parent) => removeAt(parent, nameBytes(basename(path))));
}

function removeAt(parent: Descriptor, name: Uint8Array): void {
  const attributes = statAt(parent, name, emptyAttributes());
  if (attributes === undefined) return;
  if (attributes.type !== 'directory') {
    removeEntry(parent, name);
    return;
  }
  if ((attributes.mode & 0o700) !== 0o700) {
    withDescriptor(openPlace(parent, name), (place) => setMode(place, attributes.mode | 0o700));
  }
  withDescriptor(openChildDirectory(parent, name), (folder) => {
    const names = readDirectory(folder);
    for (let i = 0; i < names.count; i++) removeAt(folder, names.nameAt(i));
  });
  removeDirectory(parent, name);
}
