import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { defineErrors } from '@holdfast/base';
import { searchPath, userHome } from './config.ts';

/** What keeps a CA from being trusted. */
export const trustErrors = defineErrors('trust_store', {
  no_tool: ['unavailable', 'The program that changes the trust store is not installed'],
  needs_root: ['forbidden', 'Only root changes the trust store of the whole machine'],
  not_here: ['invalid', 'This system has no trust store of the whole machine that we know'],
  failed: ['unavailable', 'The trust store refused'],
});

/**
 * Makes programs of this user (or of the whole machine) trust a CA; returns the stores changed. Doing it twice is as once.
 *
 * Linux: the NSS databases of the user, which Chromium and Firefox read. macOS: the login keychain. Windows: the user's
 * root store.
 */
export async function trustCa(caFile: string, options: { forWholeMachine: boolean }): Promise<readonly string[]> {
  if (options.forWholeMachine) return [await trustForMachine(caFile)];
  if (process.platform === 'darwin') {
    const keychain = path.join(homeFolder(), 'Library', 'Keychains', 'login.keychain-db');
    await run('security', ['add-trusted-cert', '-r', 'trustRoot', '-k', keychain, caFile]);
    return [keychain];
  }
  if (process.platform === 'win32') {
    await run('certutil.exe', ['-user', '-addstore', 'Root', caFile]);
    return ['Root (current user)'];
  }
  return trustInNss(caFile);
}

async function trustInNss(caFile: string): Promise<readonly string[]> {
  if (!isInstalled('certutil')) {
    const remedy = `install certutil (Debian: apt install libnss3-tools; Fedora: dnf install nss-tools), or import ${caFile} in the browser's settings`;
    throw trustErrors.no_tool({ program: 'certutil', remedy });
  }
  const shared = path.join(homeFolder(), '.pki', 'nssdb');
  if (!existsSync(path.join(shared, 'cert9.db'))) {
    await mkdir(shared, { recursive: true, mode: 0o700 });
    await run('certutil', ['-d', `sql:${shared}`, '-N', '--empty-password']);
  }
  const nickname = await commonNameOf(caFile);
  const databases = [shared, ...firefoxProfiles()];
  for (const database of databases) {
    await run('certutil', ['-d', `sql:${database}`, '-A', '-n', nickname, '-t', 'C,,', '-i', caFile]);
  }
  return databases;
}

function firefoxProfiles(): readonly string[] {
  const parent = path.join(homeFolder(), '.mozilla', 'firefox');
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .map((name) => path.join(parent, name))
    .filter((profile) => existsSync(path.join(profile, 'cert9.db')));
}

const MACHINE_STORES = [
  { folder: '/usr/local/share/ca-certificates', extension: 'crt', program: 'update-ca-certificates' },
  { folder: '/etc/pki/ca-trust/source/anchors', extension: 'pem', program: 'update-ca-trust' },
] as const;

async function trustForMachine(caFile: string): Promise<string> {
  const store = MACHINE_STORES.find(({ folder, program }) => existsSync(folder) && isInstalled(program));
  if (process.platform !== 'linux' || !store) throw trustErrors.not_here({ platform: process.platform });
  if (process.getuid?.() !== 0) throw trustErrors.needs_root({ remedy: 'run it as root, or leave --system out' });
  const name = (await commonNameOf(caFile)).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const file = path.join(store.folder, `${name}.${store.extension}`);
  await copyFile(caFile, file);
  await run(store.program, []);
  return file;
}

/** Unlike that of any other installation: it contains a part of the CA's serial number. */
async function commonNameOf(caFile: string): Promise<string> {
  const { subject } = new X509Certificate(await readFile(caFile));
  return /^CN=(.+)$/m.exec(subject)?.[1] ?? 'Holdfast local CA';
}

function homeFolder(): string {
  const folder = userHome();
  if (folder === undefined) throw trustErrors.failed({ reason: 'HOME is not set' });
  return folder;
}

function isInstalled(program: string): boolean {
  return [...searchPath(), '/usr/sbin', '/sbin'].some((folder) => existsSync(path.join(folder, program)));
}

async function run(program: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(program, args, { timeout: 60_000 });
  } catch (error) {
    const { stderr, code } = error as { stderr?: string; code?: string | number };
    if (code === 'ENOENT') throw trustErrors.no_tool({ program }, error);
    throw trustErrors.failed({ program, output: stderr?.trim() }, error);
  }
}
