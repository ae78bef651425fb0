import { existsSync, lstatSync, statSync } from 'node:fs';
import path from 'node:path';

/** The folder of all state of a Holdfast run by hand. */
export const HOME_NAME = '.holdfast';

type Environment = Readonly<Record<string, string | undefined>>;

/** HOLDFAST_HOME, else `.holdfast` in the working folder: where `up` and `cloud start` keep their state. Absolute. */
export function homeToStart(workingDir: string, env: Environment = process.env): string {
  return path.resolve(workingDir, env['HOLDFAST_HOME'] || HOME_NAME);
}

/**
 * HOLDFAST_HOME, else the nearest `.holdfast` in the working folder or above; undefined when there is none. Absolute.
 *
 * One that is found and belongs to another user is passed over: anybody can put one into `/tmp`, with an agent of their own
 * to be asked and a CA of their own to be trusted. Root under `sudo` takes that of whoever called it.
 */
export function findHome(workingDir: string, env: Environment = process.env): string | undefined {
  if (env['HOLDFAST_HOME']) return path.resolve(workingDir, env['HOLDFAST_HOME']);
  for (let folder = path.resolve(workingDir); ; folder = path.dirname(folder)) {
    const home = path.join(folder, HOME_NAME);
    if (isOurs(home, env)) return home;
    if (folder === path.dirname(folder)) return undefined;
  }
}

function isOurs(home: string, env: Environment): boolean {
  const own = process.geteuid?.();
  if (own === undefined) return existsSync(home);
  const caller = own === 0 && /^\d+$/.test(env['SUDO_UID'] ?? '') ? Number(env['SUDO_UID']) : own;
  try {
    // The link, where it is one, and the folder.
    return [lstatSync(home), statSync(home)].every(({ uid }) => uid === own || uid === caller);
  } catch {
    return false;
  }
}

/** HOLDFAST_SOCKET: the control socket that an agent listens at and commands ask. Absolute; undefined when it is not set. */
export function namedSocket(workingDir: string, env: Environment = process.env): string | undefined {
  return env['HOLDFAST_SOCKET'] ? path.resolve(workingDir, env['HOLDFAST_SOCKET']) : undefined;
}

/**
 * The environment a server of `up` reads its settings from: ours, with the folder decided here, and on loopback the
 * port asked for, else the one of HOLDFAST_LISTEN, else the one of the time before. Its agent listens in that folder.
 */
export function environmentFor(
  homeDir: string,
  ports: { asked?: number | undefined; before?: number | undefined } = {},
  env: Environment = process.env,
): Environment {
  const port = ports.asked ?? (env['HOLDFAST_LISTEN'] ? undefined : ports.before);
  return {
    ...env,
    HOLDFAST_HOME: homeDir,
    HOLDFAST_SOCKET: undefined,
    ...(port !== undefined && { HOLDFAST_LISTEN: `127.0.0.1:${port}` }),
  };
}

/** Our environment and some variables more: of a process that is started in our place. */
export function environmentWith(
  more: Readonly<Record<string, string>>,
  env: Environment = process.env,
): Record<string, string> {
  const ours = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...Object.fromEntries(ours), ...more };
}

/** Where programs are looked for. */
export function searchPath(env: Environment = process.env): readonly string[] {
  return (env['PATH'] ?? '').split(path.delimiter).filter((folder) => folder !== '');
}

/** The home folder of the user, as the shell says. */
export function userHome(env: Environment = process.env): string | undefined {
  return env['HOME'] || env['USERPROFILE'] || undefined;
}

/** Whether colours are unwanted (https://no-color.org). */
export function coloursUnwanted(env: Environment = process.env): boolean {
  return Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb';
}

/** The proxy by which servers are reached, as other programs take it from the environment. */
export function proxyEnvironment(env: Environment = process.env): { HTTPS_PROXY?: string; NO_PROXY?: string } {
  const proxy = env['HTTPS_PROXY'] || env['https_proxy'];
  const none = env['NO_PROXY'] || env['no_proxy'];
  return { ...(proxy && { HTTPS_PROXY: proxy }), ...(none && { NO_PROXY: none }) };
}
