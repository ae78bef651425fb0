/** A process that looks into the memory of others until its standard input ends. Its first line is an order, each it writes a sample. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { NeedleSearch, searchMemory } from './memory-search.ts';
import { processTree, type ProcessMark } from './process-tree.ts';

/** What is looked into, and for what. */
export type SamplerOrder = {
  /** A server, all of whose processes are looked into but the keystore; or the keystore alone. */
  readonly rootPid: number;
  readonly of: 'keystore' | 'all but the keystore';
  /** How much processor time the first of them is given between two samples, where it wants any, in ms. */
  readonly runMs: number;
  readonly needles: readonly { readonly name: string; readonly hex: string }[];
};

/** What was in the memory of some processes at one instant. */
export type MemorySample = {
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  readonly processes: readonly {
    readonly pid: number;
    readonly command: string;
    readonly readBytes: number;
    readonly found: readonly string[];
  }[];
};

/** How a process was started, its words parted by spaces; empty where it has ended. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** The processes of a server that are meant. */
export function processesOf({ rootPid, of }: Pick<SamplerOrder, 'rootPid' | 'of'>): readonly ProcessMark[] {
  const isKeystore = ({ pid }: ProcessMark) => commandOf(pid).includes('keystore/main.ts');
  return processTree(rootPid).filter((mark) => isKeystore(mark) === (of === 'keystore'));
}

/** All of them stand still while they are read, so that nothing moves past the reader; but for the keystore, whose time counts. */
function sample(order: SamplerOrder, search: NeedleSearch): MemorySample {
  const stopped = new Set<number>();
  const beganAtMs = Date.now();
  const stop = ({ pid }: ProcessMark) => order.of === 'keystore' || signal(pid, 'SIGSTOP');
  try {
    // Whatever one of them started meanwhile is found the next time round.
    for (let before = -1; before !== stopped.size;) {
      before = stopped.size;
      const others = processesOf(order).filter(({ pid }) => !stopped.has(pid));
      for (const { pid } of others.filter(stop)) stopped.add(pid);
    }
    const shared = new Set<string>();
    const processes = [...stopped].flatMap((pid) => {
      const seen = searchMemory(pid, search, shared);
      return seen ? [{ pid, command: commandOf(pid), ...seen }] : [];
    });
    return { beganAtMs, endedAtMs: Date.now(), processes };
  } finally {
    if (order.of !== 'keystore') for (const pid of stopped) signal(pid, 'SIGCONT');
  }
}

/** Lets them go on until the first has had its time, at least for a moment and at most for as long as the sample took. */
async function letRun({ processes: [first], beganAtMs, endedAtMs }: MemorySample, runMs: number): Promise<void> {
  const untilMs = Date.now() + Math.max(runMs, endedAtMs - beganAtMs);
  const used = () => (first ? processorMsOf(first.pid) : 0);
  const before = used();
  do await sleep(5);
  while (Date.now() < untilMs && used() - before < runMs);
}

/** What the first thread of a process has used of processors. */
function processorMsOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // It has just ended.
  }
}

async function main(): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  const over = new AbortController();
  lines.once('close', () => over.abort());
  process.stdout.once('error', () => over.abort());
  // Not in the midst of a sample: what stands still then would do so for good.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => over.abort());
  const [line] = (await once(lines, 'line')) as [string];
  const order = JSON.parse(line) as SamplerOrder;
  const search = new NeedleSearch(order.needles.map(({ name, hex }) => ({ name, bytes: Buffer.from(hex, 'hex') })));
  while (!over.signal.aborted) {
    const taken = sample(order, search);
    process.stdout.write(`${JSON.stringify(taken)}\n`);
    await letRun(taken, order.runMs);
  }
}

if (process.argv[1] === import.meta.filename) await main();
