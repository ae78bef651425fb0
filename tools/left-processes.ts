import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Names the variable by which every process that a test started can be found again, whatever session it moved to. */
export const markerVariable = 'HOLDFAST_TEST_RUN';

/** A process of a test that is still there. */
export type LeftProcess = { readonly pid: number; readonly command: string };

/**
 * Processes of a group, or started with the marker in their environment, that are alive; zombies are not.
 * A marker `m` also finds what was started under `m-1`.
 *
 * Waits up to `graceMs` for those that are just ending. Linux only: elsewhere there is no /proc and the list is empty.
 */
export async function awaitLeftProcesses(
  group: number,
  marker: string,
  graceMs: number,
): Promise<readonly LeftProcess[]> {
  const until = performance.now() + graceMs;
  for (;;) {
    const left = findProcesses(group, marker);
    if (left.length === 0 || performance.now() > until) return left;
    await sleep(50);
  }
}

/** The same at this moment, without waiting. */
export function findProcesses(group: number, marker: string): readonly LeftProcess[] {
  let names: readonly string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => describeProcess(Number(name), group, marker) ?? []);
}

function describeProcess(pid: number, group: number, marker: string): LeftProcess | undefined {
  const stat = readProcess(pid, 'stat');
  // The name in parentheses may hold anything, so fields count from its end.
  const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (!state || state === 'Z' || state === 'X') return undefined;
  const wanted = `${markerVariable}=${marker}`;
  const isMarked = () =>
    readProcess(pid, 'environ')
      .split('\0')
      .some((entry) => entry === wanted || entry.startsWith(`${wanted}-`));
  if (Number(processGroup) !== group && !isMarked()) return undefined;
  return { pid, command: readProcess(pid, 'cmdline').replaceAll('\0', ' ').trim().slice(0, 200) };
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // It ended, or is another user's: then it is not ours.
  }
}
