/** For tests: folders that go away again. */
import { mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Descriptor, closeDescriptor, openDirectory } from './open-relative.ts';
import { removeTree } from './remove-tree.ts';

/** A new empty folder with a space in its name, removed after the test whatever lies in it by then. */
export function temporaryFolder(t: TestContext): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'holdfast files '));
  t.after(() => removeTree(path));
  return path;
}

/** The same, open. */
export function openTemporaryFolder(t: TestContext): { readonly path: string; readonly fd: Descriptor } {
  const path = temporaryFolder(t);
  const fd = openDirectory(path);
  t.after(() => closeDescriptor(fd));
  return { path, fd };
}
