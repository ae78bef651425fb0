import { access, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { assert } from '@holdfast/base';
import { embeddedPostgresErrors } from './embedded-postgres-errors.ts';
import { giveClusterTo, runToEnd, spawnPostgres, type Isolation } from './embedded-postgres-isolation.ts';

/** Login of the superuser of the embedded PostgreSQL; only `migrate` uses it. */
export const SUPERUSER = 'holdfast_superuser';

const HBA = `# Written by Holdfast. Everybody needs a password, the owner of the folder too.
${process.platform === 'win32' ? 'host all all 127.0.0.1/32 scram-sha-256' : 'local all all scram-sha-256'}
`;

/**
 * Makes the cluster unless it exists; returns its data folder.
 *
 * It is built beside its place and moved there when it is complete, password included, so an interrupted attempt leaves
 * nothing that looks like a database. No password is written to a file or an argument: `postgres --single` reads it from
 * a pipe. Collation is PostgreSQL's own C.UTF-8, so indexes survive another C library.
 * @throws embedded_postgres.initdb_failed
 */
export async function ensureCluster(isolation: Isolation, superuserPassword: string): Promise<string> {
  const dataDir = path.join(isolation.clusterDir, 'data');
  const complete = await access(path.join(dataDir, 'PG_VERSION')).then(
    () => true,
    () => false,
  );
  if (complete) return dataDir;
  const newDir = path.join(isolation.clusterDir, 'new');
  await rm(newDir, { recursive: true, force: true });
  await mkdir(newDir, { mode: 0o700 });
  await giveClusterTo(isolation, 'named');
  await initialise(isolation, newDir);
  await setPassword(isolation, newDir, superuserPassword);
  await writeFile(path.join(newDir, 'pg_hba.conf'), HBA, { flush: true });
  await giveClusterTo(isolation, 'server');
  await rename(newDir, dataDir);
  await syncFolder(isolation.clusterDir);
  return dataDir;
}

async function initialise(isolation: Isolation, dataDir: string): Promise<void> {
  const place = ['-D', dataDir, '-U', SUPERUSER, '--auth=trust', '--no-instructions', '--data-checksums'];
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const args = [...place, ...locale];
  const { code, output } = await runToEnd(spawnPostgres(isolation, 'initdb', args, { stdio: 'pipe', named: true }));
  if (code !== 0) throw embeddedPostgresErrors.initdb_failed({ folder: dataDir, output });
}

async function setPassword(isolation: Isolation, dataDir: string, password: string): Promise<void> {
  assert(!/[\r\n\0]/.test(password), 'the superuser password is one line');
  // A failing statement would otherwise be printed whole, password included.
  const quiet = ['-c', 'log_min_error_statement=panic', '-c', 'password_encryption=scram-sha-256'];
  const args = ['--single', '-D', dataDir, ...quiet, 'postgres'];
  const sql = `ALTER ROLE ${SUPERUSER} PASSWORD '${password.replaceAll("'", "''")}'\n`;
  const { code, output } = await runToEnd(
    spawnPostgres(isolation, 'postgres', args, { stdio: 'pipe', named: true }),
    sql,
  );
  if (code !== 0 || /ERROR:|FATAL:/.test(output))
    throw embeddedPostgresErrors.initdb_failed({ folder: dataDir, output });
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
