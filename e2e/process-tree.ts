import { readdirSync, readFileSync } from 'node:fs';

/** A process, and that one alone: its number may be given again, with another start time. */
export type ProcessMark = { readonly pid: number; readonly startedAt: string; readonly name: string };

type Entry = ProcessMark & { readonly parent: number; readonly state: string };

function readEntry(pid: number): Entry | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const end = text.lastIndexOf(')');
    const fields = text.slice(end + 2).split(' ');
    const name = text.slice(text.indexOf('(') + 1, end);
    return { pid, name, state: fields[0]!, parent: Number(fields[1]), startedAt: fields[19]! };
  } catch {
    return undefined; // It has just ended.
  }
}

/** A process and everything it started that is still its descendant. */
export function processTree(rootPid: number): readonly ProcessMark[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const entries = pids.flatMap((pid) => readEntry(Number(pid)) ?? []);
  const found = new Map(entries.filter(({ pid }) => pid === rootPid).map((entry) => [entry.pid, entry]));
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const entry of entries) if (found.has(entry.parent)) found.set(entry.pid, entry);
  }
  return [...found.values()].map(({ pid, startedAt, name }) => ({ pid, startedAt, name }));
}

/** Those of the marked processes that still run. */
export function stillRunning(marks: readonly ProcessMark[]): readonly ProcessMark[] {
  return marks.filter(({ pid, startedAt }) => {
    const entry = readEntry(pid);
    return entry !== undefined && entry.startedAt === startedAt && entry.state !== 'Z' && entry.state !== 'X';
  });
}

/** Waits, at the edge of a process, until a condition holds; fails with `what` when it does not in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`in vain waited ${timeoutMs} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
