import { existsSync, globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { basename, join } from 'node:path';
import { readImports, type Import } from './read-imports.ts';

/** A workspace as its package.json describes it. */
export type Workspace = {
  /** Folder from the root, such as `packages/base`. */
  readonly folder: string;
  /** Last part of the folder, such as `base`. */
  readonly noun: string;
  readonly packageName: string;
  readonly entries: Readonly<Record<string, string>>;
  readonly dependencies: ReadonlySet<string>;
  /** Allowed in tests only. */
  readonly devDependencies: ReadonlySet<string>;
};

/** One source file with what it imports. */
export type SourceFile = {
  /** From the root, with `/`. */
  readonly path: string;
  readonly workspace: Workspace | undefined;
  readonly isTest: boolean;
  readonly imports: readonly Import[];
};

type PackageJson = {
  readonly name?: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
};

const sourcePatterns = [
  'apps/*/{src,bin}/**/*.{ts,tsx,mjs,js}',
  'packages/*/src/**/*.{ts,tsx,mjs,js}',
  'e2e/**/*.{ts,mjs,js}',
  'tools/**/*.{ts,mjs,js}',
];

/** Reads every workspace below `root`. */
export function readWorkspaces(root: string): readonly Workspace[] {
  return globSync(['packages/*/package.json', 'apps/*/package.json', 'e2e/package.json'], { cwd: root })
    .toSorted()
    .map((path) => readWorkspace(root, path.slice(0, -'/package.json'.length)));
}

/** Reads every source file below `root`; generated and AssemblyScript sources lie elsewhere. */
export function readSourceFiles(root: string, workspaces: readonly Workspace[]): readonly SourceFile[] {
  return globSync(sourcePatterns, { cwd: root, exclude: (path) => path.includes('node_modules') })
    .toSorted()
    .map((path) => ({
      path,
      workspace: workspaces.find(({ folder }) => path.startsWith(`${folder}/`)),
      isTest: isTestPath(path),
      imports: readImports(readFileSync(join(root, path), 'utf8')),
    }));
}

/** The names of packages a root package.json lets tests and tools use. */
export function readRootDevDependencies(root: string): ReadonlySet<string> {
  return new Set(Object.keys(readPackageJson(join(root, 'package.json')).devDependencies ?? {}));
}

/** `pg-boss` of `pg-boss/dist/x`, `@scope/name` of `@scope/name/x`. */
export function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Whether a specifier names a part of Node, with or without `node:`. */
export function isNodePart(specifier: string): boolean {
  return isBuiltin(specifier);
}

function isTestPath(path: string): boolean {
  if (path.startsWith('e2e/') || path.startsWith('packages/testing/')) return true;
  return /\.(?:test|conformance)\.tsx?$/.test(path) || /(?:^|[/-])testing(?:\.ts$|\/)/.test(path);
}

function readWorkspace(root: string, folder: string): Workspace {
  const json = readPackageJson(join(root, folder, 'package.json'));
  return {
    folder,
    noun: basename(folder),
    packageName: json.name ?? '',
    entries: json.exports ?? {},
    dependencies: new Set(Object.keys({ ...json.dependencies, ...json.optionalDependencies })),
    devDependencies: new Set(Object.keys(json.devDependencies ?? {})),
  };
}

function readPackageJson(path: string): PackageJson {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as PackageJson) : {};
}
