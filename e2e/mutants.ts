/** The planted faults of `e2e/mutants`, and whether they can still be planted. */
import { globSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';

/** One fault, put into one file: the test must turn red. */
export type Mutant = {
  readonly name: string;
  readonly file: string;
  /** Text that stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** The test file that guards against the fault. */
  readonly test: string;
};

/** The faults whose names begin with one of these prefixes; all where there are none. */
export async function loadMutants(prefixes: readonly string[] = []): Promise<readonly Mutant[]> {
  const folder = path.join(import.meta.dirname, 'mutants');
  const names = globSync('*.ts', { cwd: folder })
    .map((file) => path.basename(file, '.ts'))
    .filter((name) => name !== 'run')
    .filter((name) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)))
    .toSorted();
  return Promise.all(
    names.map(async (name) => {
      const loaded = (await import(`./mutants/${name}.ts`)) as { mutant?: Omit<Mutant, 'name'> };
      if (!loaded.mutant) throw new Error(`${name}.ts exports no mutant`);
      return { name, ...loaded.mutant };
    }),
  );
}

/** A file with the fault in it, or why it cannot be planted there any more. */
export function plant({ file, find, replace }: Mutant, source: string): { mutated: string } | { stale: string } {
  const found = source.split(find).length - 1;
  if (found !== 1) return { stale: `its text stands ${found} times in ${file}` };
  const mutated = source.replace(find, () => replace);
  // A file that cannot be loaded turns every test red, and shows nothing.
  return file.endsWith('.ts') && !canLoad(mutated) ? { stale: 'it is no TypeScript' } : { mutated };
}

function canLoad(source: string): boolean {
  try {
    stripTypeScriptTypes(source);
    return true;
  } catch {
    return false;
  }
}
