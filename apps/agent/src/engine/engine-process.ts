/**
 * How a process that runs the engine is started: measured in docs/performance.md, and the same for whoever starts one.
 *
 * Node and the C library read these before any of our code runs.
 */
import path from 'node:path';

/** Options of Node: new objects get 2 MiB twice instead of 16 MiB twice, which four threads would fill with garbage. */
export const engineNodeFlags: readonly string[] = ['--max-semi-space-size=2'];

/**
 * Variables of its environment. `stateDir` is the agent's own folder, which nobody else may write: compiled code is kept there.
 *
 * Threads share two heaps of the C library instead of having one each. Code that was compiled before is taken as it was, so that no
 * thread carries a compiler of types.
 */
export function engineEnvironment(stateDir: string): Readonly<Record<string, string>> {
  return { MALLOC_ARENA_MAX: '2', NODE_COMPILE_CACHE: path.join(stateDir, 'compiled') };
}

/** Whether this process was started so; `nodeFlags` are those it has. */
export function isEngineProcess(nodeFlags: readonly string[] = process.execArgv): boolean {
  return engineNodeFlags.every((flag) => nodeFlags.includes(flag));
}
