import { readFileSync } from 'node:fs';
import { join } from 'node:path';

type LockEntry = {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
};

/**
 * What is wrong with a lock file, one sentence each; empty when a fresh clone installs exactly what was reviewed.
 *
 * Every package has an integrity and no address, workspaces ask for exact versions, and every platform a package names
 * has an entry: `npm ci` refuses a lock file that lacks one.
 */
export function checkLock(lockFile: string): readonly string[] {
  const { packages } = JSON.parse(lockFile) as { readonly packages: Readonly<Record<string, LockEntry>> };
  return Object.entries(packages).flatMap(([path, entry]) => {
    const problems = path.includes('node_modules/') ? checkInstalled(entry, packages) : checkWorkspace(entry);
    return problems.map((problem) => `package-lock.json: ${path || 'the root'}: ${problem}`);
  });
}

function checkInstalled(entry: LockEntry, packages: Readonly<Record<string, LockEntry>>): readonly string[] {
  if (entry.link) return [];
  const missing = Object.keys(entry.optionalDependencies ?? {}).filter((name) => !packages[`node_modules/${name}`]);
  return [
    ...(entry.integrity ? [] : ['it has no integrity']),
    ...(entry.resolved ? ['it names the address it came from'] : []),
    ...missing.map((name) => `${name} has no entry; take it out of optionalDependencies, or npm ci refuses the file`),
  ];
}

function checkWorkspace(entry: LockEntry): readonly string[] {
  const asked = { ...entry.dependencies, ...entry.devDependencies, ...entry.optionalDependencies };
  return Object.entries(asked)
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${name} is asked for as ${version}, not as an exact version`);
}

if (import.meta.main) {
  const problems = checkLock(readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8'));
  process.stderr.write(problems.map((problem) => `${problem}\n`).join(''));
  if (problems.length > 0) process.exitCode = 1;
}
