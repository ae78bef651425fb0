import { basename, dirname, join, normalize } from 'node:path';
import {
  bannedNames,
  browserEntries,
  folderLoaders,
  launchers,
  maxFolderDepth,
  packageMayImport,
  testOnlyEntries,
  testsMayImport,
} from './boundaries.ts';
import { checkCloudImport, checkCloudModules } from './check-cloud-modules.ts';
import type { Import } from './read-imports.ts';
import {
  isNodePart,
  packageOf,
  readRootDevDependencies,
  readSourceFiles,
  readWorkspaces,
  type SourceFile,
  type Workspace,
} from './source-files.ts';

type Tree = {
  readonly workspaces: readonly Workspace[];
  readonly files: readonly SourceFile[];
  readonly paths: ReadonlySet<string>;
  readonly rootDevDependencies: ReadonlySet<string>;
};

/**
 * Every way in which the sources below `root` cross a boundary, one sentence each; empty when there is none.
 *
 * What is checked: who may import whom (between packages, between modules of the cloud), that a package declares what
 * it imports, that no file is reached around a package's entry points, that what a browser loads needs no Node, and
 * the names and depth of files. The rules themselves are the constants of `boundaries.ts`.
 */
export function checkBoundaries(root: string): readonly string[] {
  const workspaces = readWorkspaces(root);
  const files = readSourceFiles(root, workspaces);
  const paths = new Set(files.map(({ path }) => path));
  const tree: Tree = { workspaces, files, paths, rootDevDependencies: readRootDevDependencies(root) };
  return [
    ...workspaces.flatMap((workspace) => checkDeclarations(workspace, tree)),
    ...files.flatMap(checkName),
    ...files.flatMap((file) =>
      file.imports.flatMap((found) =>
        checkImport(file, found, tree).map((problem) => `${file.path}:${found.line}: ${problem}`),
      ),
    ),
    ...checkBrowserEntries(tree),
    ...checkCloudModules(files),
  ];
}

function checkDeclarations(workspace: Workspace, { workspaces }: Tree): readonly string[] {
  const allowed = packageMayImport[workspace.noun];
  if (!allowed) return [`${workspace.folder}: no rule says what this package may import (tools/boundaries.ts)`];
  return workspaces
    .filter(({ packageName }) => workspace.dependencies.has(packageName))
    .filter(({ noun }) => !allowed.some((entry) => packageOf(entry) === noun))
    .map(({ noun }) => `${workspace.folder}/package.json: ${workspace.noun} must not depend on ${noun}`);
}

function checkName({ path, workspace }: SourceFile): readonly string[] {
  const name = basename(path);
  const problems: string[] = [];
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*\.(?:tsx?|mjs|js)$/.test(name))
    problems.push(`${path}: a file name is kebab-case`);
  if (bannedNames.includes(name.split('.')[0]!)) problems.push(`${path}: the name says nothing of what is in the file`);
  const inside =
    workspace && path.startsWith(`${workspace.folder}/src/`) ? path.slice(workspace.folder.length + 5) : '';
  if (inside.split('/').length - 1 > maxFolderDepth)
    problems.push(`${path}: folders go at most ${maxFolderDepth} deep below src`);
  return problems;
}

function checkImport(file: SourceFile, { specifier, form }: Import, tree: Tree): readonly string[] {
  if (launchers.includes(file.path)) return [];
  if (specifier === undefined && folderLoaders.includes(file.path)) return [];
  if (specifier === undefined) return ['the name of an imported module is computed: nothing can check it'];
  if (form === 'url') return isCodePath(specifier) ? checkRelative(file, specifier, tree) : [];
  if (specifier.startsWith('.')) return checkRelative(file, specifier, tree);
  if (isNodePart(specifier)) return specifier.startsWith('node:') ? [] : [`write node:${specifier}`];
  const target = tree.workspaces.find(({ packageName }) => packageName === packageOf(specifier));
  return target ? checkPackageImport(file, specifier, target) : checkDeclared(file, specifier, tree);
}

function isCodePath(specifier: string): boolean {
  return specifier.startsWith('.') && /\.(?:tsx?|mjs|js|wasm)$/.test(specifier);
}

function checkRelative(file: SourceFile, specifier: string, tree: Tree): readonly string[] {
  const target = normalize(join(dirname(file.path), specifier)).replaceAll('\\', '/');
  const home = file.workspace?.folder ?? file.path.split('/')[0]!;
  if (!target.startsWith(`${home}/`)) return [`${specifier} leaves ${home}: import the package by its name`];
  const reached = tree.files.find(({ path }) => path === target);
  if (reached?.isTest && !file.isTest) return [`${specifier} is test code`];
  return reached ? checkCloudImport(file, reached) : [];
}

function checkPackageImport(file: SourceFile, specifier: string, target: Workspace): readonly string[] {
  const home = file.workspace;
  if (!home) return [`${specifier}: tools use nothing of the product`];
  if (target === home) return [`${specifier}: a package imports its own files by path`];
  const problems: string[] = [];
  const inner = specifier.slice(target.packageName.length);
  if (!Object.hasOwn(target.entries, `.${inner}`)) problems.push(`${specifier} is no entry point of ${target.noun}`);
  const entry = `${target.noun}${inner}`;
  if (!mayImport(home.noun, entry, file.isTest)) problems.push(`${home.noun} must not import ${entry}`);
  if (!file.isTest && testOnlyEntries.includes(entry)) problems.push(`${specifier} is test code`);
  if (!isDeclared(file, home, target.packageName))
    problems.push(`${target.packageName} is not in ${home.folder}/package.json`);
  return problems;
}

function mayImport(home: string, entry: string, isTest: boolean): boolean {
  const extra = isTest ? [...(testsMayImport['*'] ?? []), ...(testsMayImport[home] ?? [])] : [];
  return [...(packageMayImport[home] ?? []), ...extra].some((rule) => rule === entry || rule === packageOf(entry));
}

function checkDeclared(file: SourceFile, specifier: string, tree: Tree): readonly string[] {
  const name = packageOf(specifier);
  const isToolLike = file.isTest || !file.workspace;
  if (isToolLike && tree.rootDevDependencies.has(name)) return [];
  if (file.workspace && isDeclared(file, file.workspace, name)) return [];
  return [`${name} is not in ${file.workspace?.folder ?? '.'}/package.json`];
}

function isDeclared(file: SourceFile, home: Workspace, packageName: string): boolean {
  return home.dependencies.has(packageName) || (file.isTest && home.devDependencies.has(packageName));
}

/** Follows relative imports from each entry a browser loads; packages it crosses into are entries of their own. */
function checkBrowserEntries({ files }: Tree): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return browserEntries.flatMap((entry) => {
    const waiting = [entry];
    const seen = new Set<string>();
    const problems: string[] = [];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      for (const { specifier, line } of byPath.get(path)?.imports ?? []) {
        if (specifier === undefined) continue;
        if (isNodePart(specifier))
          problems.push(`${path}:${line}: ${specifier} is not in a browser, and ${entry} reaches it`);
        if (specifier.startsWith('.')) waiting.push(normalize(join(dirname(path), specifier)).replaceAll('\\', '/'));
      }
    }
    return problems;
  });
}

if (import.meta.main) {
  const problems = checkBoundaries(join(import.meta.dirname, '..'));
  process.stderr.write(problems.map((problem) => `${problem}\n`).join(''));
  if (problems.length > 0) process.exitCode = 1;
}
