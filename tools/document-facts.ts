import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What documents may name, read from the sources. */
export type Facts = {
  readonly npmScripts: ReadonlySet<string>;
  /** First words of commands and of their subcommands. */
  readonly commands: ReadonlySet<string>;
  /** Names of source files, without their folders. */
  readonly fileNames: ReadonlySet<string>;
  /** `noun.reason` of every declared error. */
  readonly errorCodes: ReadonlySet<string>;
  readonly errorNouns: ReadonlySet<string>;
  /** Environment variables of ours that a source names. */
  readonly variables: ReadonlySet<string>;
  /** Name to exact version of every package that a package.json asks for. */
  readonly versions: ReadonlyMap<string, string>;
  /** Packages of others that a package.json needs on every platform. */
  readonly dependencies: ReadonlySet<string>;
};

/** Reads the facts of the tree below `root`. */
export function readFacts(root: string): Facts {
  const sources = readTexts(root, [
    '{apps,packages}/*/{src,bin}/**/*.{ts,tsx,mjs,sql}',
    'tools/**/*.{ts,mjs}',
    'e2e/**/*.ts',
  ]);
  const manifests = readTexts(root, ['package.json', '{apps,packages}/*/package.json']).map(([, text]) => text);
  const errorCodes = new Set(sources.flatMap(([, text]) => errorCodesOf(text)));
  return {
    npmScripts: new Set(readScripts(root)),
    commands: new Set(sources.filter(([path]) => path.startsWith('apps/cli/')).flatMap(([, text]) => commandsOf(text))),
    fileNames: new Set(sources.map(([path]) => basename(path))),
    errorCodes,
    errorNouns: new Set([...errorCodes].map((code) => code.split('.')[0]!)),
    variables: new Set(sources.flatMap(([, text]) => text.match(/\bHOLDFAST_[A-Z_]+\b/g) ?? [])),
    versions: new Map(manifests.flatMap((text) => versionsOf(text, [...neededKinds, 'optionalDependencies']))),
    dependencies: new Set(
      manifests
        .flatMap((text) => versionsOf(text, neededKinds).map(([name]) => name))
        .filter((name) => !name.startsWith('@holdfast/')),
    ),
  };
}

/** Path and text of every file that matches, without what is installed or golden. */
export function readTexts(root: string, patterns: readonly string[]): readonly (readonly [string, string])[] {
  return globSync(patterns, {
    cwd: root,
    exclude: (path) => /(?:^|\/)(?:node_modules|testdata|\.holdfast|\.git)$/.test(path),
  })
    .toSorted()
    .map((path) => [path.replaceAll('\\', '/'), readFileSync(join(root, path), 'utf8')] as const);
}

function errorCodesOf(source: string): readonly string[] {
  return [...source.matchAll(/defineErrors\(\s*'([a-z_]+)',\s*\{([\s\S]*?)\n?\}\s*\)/g)].flatMap(([, noun, body]) =>
    [...body!.matchAll(/^\s*([a-z_0-9]+):\s*\[/gm)].map(([, reason]) => `${noun}.${reason}`),
  );
}

function commandsOf(source: string): readonly string[] {
  return [...source.matchAll(/\.command\(\s*'([a-z-]+)/g)].map(([, name]) => name!);
}

const neededKinds = ['dependencies', 'devDependencies'];

function versionsOf(packageJson: string, kinds: readonly string[]): readonly (readonly [string, string])[] {
  const json = JSON.parse(packageJson) as Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;
  return kinds.flatMap((kind) => Object.entries(json[kind] ?? {}));
}

function readScripts(root: string): readonly string[] {
  const path = join(root, 'package.json');
  if (!existsSync(path)) return [];
  const json = JSON.parse(readFileSync(path, 'utf8')) as { readonly scripts?: Readonly<Record<string, string>> };
  return Object.keys(json.scripts ?? {});
}
