import {
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const rootDir = path.join(import.meta.dirname, '..');
/** What the product and a test need of the tree; packages from the registry are linked. */
const copied = ['packages', 'apps', 'e2e', 'tools', 'docs', 'package.json', 'tsconfig.json'];

/** Makes a tree of its own, whose workspaces are the copied ones, so that it can be changed and run. The caller removes it. */
export function copyProduct(purpose: string): string {
  const copyDir = mkdtempSync(path.join(tmpdir(), `holdfast ${purpose} `));
  for (const name of copied) cpSync(path.join(rootDir, name), path.join(copyDir, name), { recursive: true });
  const modules = path.join(rootDir, 'node_modules');
  mkdirSync(path.join(copyDir, 'node_modules', '@holdfast'), { recursive: true });
  for (const name of readdirSync(modules)) {
    if (name !== '@holdfast') symlinkSync(path.join(modules, name), path.join(copyDir, 'node_modules', name));
  }
  const workspaces = globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: copyDir });
  for (const file of workspaces) {
    const { name } = JSON.parse(readFileSync(path.join(copyDir, file), 'utf8')) as { name: string };
    symlinkSync(path.join(copyDir, path.dirname(file)), path.join(copyDir, 'node_modules', name));
  }
  return copyDir;
}

/** Replaces text in a file of a copy. @throws Error where it does not stand there exactly once */
export function changeText(copyDir: string, change: { file: string; find: string; replace: string }): void {
  const file = path.join(copyDir, change.file);
  const source = readFileSync(file, 'utf8');
  const found = source.split(change.find).length - 1;
  if (found !== 1) throw new Error(`the text to be changed stands ${found} times in ${change.file}`);
  writeFileSync(
    file,
    source.replace(change.find, () => change.replace),
  );
}
