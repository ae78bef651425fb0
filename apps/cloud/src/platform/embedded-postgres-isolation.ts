import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  chmod,
  chown,
  cp,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import path from 'node:path';
import type { PostgresBinaries } from './embedded-postgres-binaries.ts';
import { embeddedPostgresErrors } from './embedded-postgres-errors.ts';

/**
 * As whom PostgreSQL runs, since it refuses to run as root.
 *
 * `same-user`: as the caller, who is not root. `namespace`: in a user namespace where root is called 1, so the data
 * stays root's and in place. `own-uid`: where namespaces are refused, as a uid nobody else has, with data and programs
 * below `/var/lib/holdfast`.
 */
export type IsolationKind = 'same-user' | 'namespace' | 'own-uid';

/** How and where the programs of one cluster run. */
export type Isolation = {
  readonly kind: IsolationKind;
  readonly binaries: PostgresBinaries;
  /** Folder that holds the cluster: `data` when complete, `new` while it is being made. */
  readonly clusterDir: string;
  /** Uid of the server under `own-uid`. */
  readonly uid: number | undefined;
};

/** A uid that has a name, which `initdb` and `postgres --single` insist on; in the namespace, root bears it too. */
const NAMED_UID = 1;
/** Uids that no distribution hands out (https://systemd.io/UIDS-GIDS). */
const OWN_UIDS = { first: 61_000, last: 61_183 };

/**
 * Decides how PostgreSQL runs below `homeDir` and prepares the folder of its cluster.
 *
 * A cluster keeps the way it was made with: `homeDir/postgres` is a folder, or a link to one below `ownUidDir`.
 * @throws embedded_postgres.other_owner when the folder is somebody else's.
 * @throws embedded_postgres.cannot_run when the programs do not start at all.
 */
export async function chooseIsolation(options: {
  homeDir: string;
  binaries: PostgresBinaries;
  ownUidDir: string;
  wanted: IsolationKind | undefined;
}): Promise<Isolation> {
  const { homeDir, binaries, ownUidDir } = options;
  const link = path.join(homeDir, 'postgres');
  const existing = await lstat(link).catch(() => undefined);
  const uid = process.getuid?.();
  if (existing && uid !== undefined && existing.uid !== uid) {
    throw embeddedPostgresErrors.other_owner({ folder: link, ownerUid: existing.uid });
  }
  const kind = existing?.isSymbolicLink() ? 'own-uid' : (options.wanted ?? (await detectKind(binaries, homeDir)));
  if (kind === 'own-uid') return prepareOwnUid(link, binaries, ownUidDir);
  await mkdir(link, { recursive: true, mode: 0o700 });
  return { kind, binaries, clusterDir: link, uid: undefined };
}

async function detectKind(binaries: PostgresBinaries, homeDir: string): Promise<IsolationKind> {
  if (process.getuid?.() !== 0) return 'same-user';
  // Without privileges over files the namespace's root reads only what root itself owns or everybody may read.
  const probe = ['sh', '-c', '"$1" --version && test -w "$2"', 'sh', program(binaries, 'postgres'), homeDir];
  const { code } = await runToEnd(spawn('unshare', [...NAMESPACE, ...probe], { env: environment(binaries) }));
  return code === 0 ? 'namespace' : 'own-uid';
}

const NAMESPACE = ['--user', `--map-user=${NAMED_UID}`, `--map-group=${NAMED_UID}`];

async function prepareOwnUid(link: string, binaries: PostgresBinaries, ownUidDir: string): Promise<Isolation> {
  await mkdir(ownUidDir, { recursive: true });
  await chmod(ownUidDir, ((await lstat(ownUidDir)).mode & 0o777) | 0o011);
  const shared = await copyBinaries(binaries, ownUidDir);
  let clusterDir = await readlink(link).catch(() => undefined);
  if (clusterDir === undefined) {
    clusterDir = path.join(ownUidDir, randomBytes(8).toString('hex'));
    const uid = await freeUid(ownUidDir);
    await mkdir(clusterDir, { mode: 0o700 });
    await chown(clusterDir, uid, uid);
    await symlink(clusterDir, link);
  }
  const { uid } = await lstat(clusterDir);
  return { kind: 'own-uid', binaries: shared, clusterDir, uid };
}

/** Copies the programs to where any uid can execute them; a clone below /root is not such a place. */
async function copyBinaries(binaries: PostgresBinaries, ownUidDir: string): Promise<PostgresBinaries> {
  const rootDir = path.join(ownUidDir, `postgresql-${binaries.version}`);
  const found = await lstat(rootDir).catch(() => undefined);
  if (!found) {
    const partial = `${rootDir}.${randomBytes(4).toString('hex')}`;
    await cp(binaries.rootDir, partial, { recursive: true, verbatimSymlinks: true });
    if (binaries.extraLibDir)
      await cp(binaries.extraLibDir, path.join(partial, 'lib'), { recursive: true, dereference: true });
    await openToAll(partial);
    await rename(partial, rootDir).catch(() => rm(partial, { recursive: true }));
  }
  return { ...binaries, rootDir, extraLibDir: undefined };
}

async function openToAll(file: string): Promise<void> {
  const { mode } = await lstat(file);
  if ((mode & constants.S_IFMT) === constants.S_IFLNK) return;
  await chmod(file, (mode & 0o777) | 0o444 | ((mode & 0o100) === 0 ? 0 : 0o111));
  if ((mode & constants.S_IFMT) !== constants.S_IFDIR) return;
  for (const name of await readdir(file)) await openToAll(path.join(file, name));
}

async function freeUid(ownUidDir: string): Promise<number> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const taken = new Set(passwd.split('\n').map((line) => Number(line.split(':')[2])));
  for (const name of await readdir(ownUidDir)) taken.add((await lstat(path.join(ownUidDir, name))).uid);
  for (let uid = OWN_UIDS.first; uid <= OWN_UIDS.last; uid++) if (!taken.has(uid)) return uid;
  throw embeddedPostgresErrors.cannot_run({ reason: 'no free uid', folder: ownUidDir });
}

/** Makes everything below the cluster's folder belong to the server, or for a moment to the uid that has a name. */
export async function giveClusterTo(isolation: Isolation, whom: 'server' | 'named'): Promise<void> {
  if (isolation.uid === undefined) return;
  await chownTree(isolation.clusterDir, whom === 'server' ? isolation.uid : NAMED_UID);
}

async function chownTree(file: string, uid: number): Promise<void> {
  if ((await lstat(file)).isDirectory()) {
    for (const name of await readdir(file)) await chownTree(path.join(file, name), uid);
  }
  await lchown(file, uid, uid);
}

const program = (binaries: PostgresBinaries, name: string) =>
  path.join(binaries.rootDir, 'bin', process.platform === 'win32' ? `${name}.exe` : name);

/** Nothing of our own environment: PGDATA, PGOPTIONS or a locale would change what PostgreSQL does. */
function environment(binaries: PostgresBinaries): Record<string, string> {
  const base = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  if (!binaries.extraLibDir) return base;
  // A library found through one of our links looks for its own beside the link, so the real folder is named, too.
  const folders = [binaries.extraLibDir, path.join(binaries.rootDir, 'lib')].join(':');
  return { ...base, [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: folders };
}

/**
 * Starts a PostgreSQL program in its isolation, in a session of its own: Ctrl-C in a terminal must reach only us,
 * who then stop it in order. The returned process is the program itself (`unshare` executes it in its place).
 *
 * `named` runs it as a uid that has a name instead of the server's.
 */
export function spawnPostgres(
  isolation: Isolation,
  name: 'postgres' | 'initdb',
  args: readonly string[],
  options: { stdio: StdioOptions; named?: boolean },
): ChildProcess {
  const file = program(isolation.binaries, name);
  const common = {
    cwd: isolation.clusterDir,
    detached: true,
    env: environment(isolation.binaries),
    stdio: options.stdio,
  };
  if (isolation.kind === 'namespace') return spawn('unshare', [...NAMESPACE, file, ...args], common);
  if (isolation.uid === undefined) return spawn(file, args, common);
  const uid = options.named ? NAMED_UID : isolation.uid;
  return spawn(file, args, { ...common, uid, gid: uid });
}

/** Waits for a process; returns its exit code (undefined: killed or never started) and the end of what it printed. */
export async function runToEnd(child: ChildProcess, input = ''): Promise<{ code: number | undefined; output: string }> {
  let output = '';
  const collect = (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000));
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(input);
  const code = await new Promise<number | undefined>((resolve) => {
    child.on('error', (error) => {
      output += error.message;
      resolve(undefined);
    });
    child.on('close', (status) => resolve(status ?? undefined));
  });
  return { code, output: output.trim() };
}
