import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

const PIN = 'only for tests';
const LABEL = 'holdfast tests';

/** The module of the Debian package softhsm2. */
const [modulePath] = globSync('/usr/lib{,/*}/softhsm/libsofthsm2.so');

/** Why a test of tokens is skipped here; false where it can be run. */
export const noSoftToken: string | false =
  modulePath === undefined && 'needs SoftHSM2, a token in software: apt-get install softhsm2';

/** A token of SoftHSM2, in a folder of its own. */
export type SoftToken = {
  readonly folder: string;
  /** What SOFTHSM2_CONF must say before the module is first used: it reads it once. */
  readonly configFile: string;
  readonly pin: string;
  readonly place: { modulePath: string; tokenLabel: string; readPin: () => Promise<Uint8Array> };
  /** Runs its program on the token, as the user who knows the PIN. */
  run(...words: readonly string[]): void;
  remove(): Promise<void>;
};

/** Makes the one token of a test file: its module is initialized once for a process. */
export async function makeSoftToken(): Promise<SoftToken> {
  const folder = await mkdtemp(path.join(tmpdir(), 'holdfast token '));
  const configFile = path.join(folder, 'softhsm2.conf');
  const tokens = path.join(folder, 'tokens');
  await mkdir(tokens);
  await writeFile(configFile, `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const softhsm = (...words: readonly string[]) =>
    execFileSync('softhsm2-util', words, { env: { PATH: '/usr/bin:/bin', SOFTHSM2_CONF: configFile } });
  if (noSoftToken === false) softhsm('--init-token', '--free', '--label', LABEL, '--pin', PIN, '--so-pin', `so ${PIN}`);
  return {
    folder,
    configFile,
    pin: PIN,
    place: {
      modulePath: modulePath ?? '',
      tokenLabel: LABEL,
      readPin: () => Promise.resolve(new TextEncoder().encode(PIN)),
    },
    run: (...words) => void softhsm(...words, '--token', LABEL, '--pin', PIN),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
