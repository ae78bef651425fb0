import { cloudModules, maxModuleFiles } from './boundaries.ts';
import type { SourceFile } from './source-files.ts';

const cloudRoot = 'apps/cloud/src/';

/**
 * Whether one file of the cloud may import another: main → app → modules → platform, and modules as their list says. The
 * keystore stands beside the modules and knows none.
 *
 * Tests are free: they start the whole server.
 */
export function checkCloudImport(from: SourceFile, to: SourceFile): readonly string[] {
  if (!from.path.startsWith(cloudRoot) || from.isTest) return [];
  const [fromPlace, toPlace] = [placeOf(from.path), placeOf(to.path)];
  if (fromPlace.layer !== 'top' && /^apps\/cloud\/src\/(?:main|app)\.ts$/.test(to.path))
    return [`${fromPlace.layer} must not import ${to.path}`];
  if (fromPlace.layer === 'platform' && toPlace.layer === 'modules') return ['the platform knows no module'];
  if (fromPlace.layer === 'keystore' && (toPlace.layer === 'modules' || toPlace.layer === 'top'))
    return ['the keystore takes nothing but the platform: it believes no other role'];
  return toPlace.module === fromPlace.module ? [] : checkModuleImport(fromPlace.module, toPlace.module, to.path);
}

function checkModuleImport(from: string | undefined, to: string | undefined, path: string): readonly string[] {
  if (to === undefined) return [];
  const isFace = path === `${cloudRoot}modules/${to}/index.ts`;
  const isBelow = from === undefined || belowModule(from).has(to);
  return [
    ...(isFace ? [] : [`only index.ts of module ${to} may be imported from outside`]),
    ...(isBelow ? [] : [`module ${from} must not import module ${to}`]),
  ];
}

/** Modules that no list knows, that have no face, that are too large, or that build SQL outside their stores. */
export function checkCloudModules(files: readonly SourceFile[]): readonly string[] {
  const byModule = Object.groupBy(
    files.filter(({ path }) => placeOf(path).module !== undefined),
    ({ path }) => placeOf(path).module!,
  );
  return Object.entries(byModule).flatMap(([name, ofModule = []]) => {
    const problems: string[] = [];
    const folder = `${cloudRoot}modules/${name}`;
    const sources = ofModule.filter(({ isTest }) => !isTest);
    if (!Object.hasOwn(cloudModules, name))
      problems.push(`${folder}: the list of modules does not know it (tools/boundaries.ts)`);
    if (!ofModule.some(({ path }) => path === `${folder}/index.ts`))
      problems.push(`${folder}: a module has an index.ts`);
    if (sources.length > maxModuleFiles) problems.push(`${folder}: more than ${maxModuleFiles} source files`);
    return [...problems, ...sources.flatMap(checkKysely)];
  });
}

function checkKysely({ path, imports }: SourceFile): readonly string[] {
  if (/(?:^|[/-])store\.ts$/.test(path)) return [];
  return imports
    .filter(({ specifier }) => specifier === 'kysely' || specifier?.startsWith('kysely/'))
    .map(({ line }) => `${path}:${line}: statements are built in store.ts only`);
}

type Place = { readonly layer: 'top' | 'platform' | 'keystore' | 'modules' | 'other'; readonly module?: string };

function placeOf(path: string): Place {
  if (!path.startsWith(cloudRoot)) return { layer: 'other' };
  const [first, second, third] = path.slice(cloudRoot.length).split('/');
  if (second === undefined) return { layer: 'top' };
  if (first === 'platform' || first === 'keystore') return { layer: first };
  return first === 'modules' && third !== undefined ? { layer: 'modules', module: second } : { layer: 'other' };
}

function belowModule(name: string, seen = new Set<string>()): ReadonlySet<string> {
  for (const below of cloudModules[name] ?? []) {
    if (seen.has(below)) continue;
    seen.add(below);
    belowModule(below, seen);
  }
  return seen;
}
