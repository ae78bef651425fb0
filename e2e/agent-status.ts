/** What a running agent says of itself, asked on its socket: cheaper than a command for each look. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { askAgent } from '@holdfast/agent';
import { until } from './process-tree.ts';
import type { RunningAgentProcess } from './running-agent.ts';

/** How one set stands at one destination. */
export type Standing = {
  readonly set: string;
  readonly destination?: string;
  readonly state: string;
  readonly reason: string;
  readonly remedy?: string;
};

/** The part of `status` that tests look at. */
export type AgentStatus = {
  readonly standings: readonly Standing[];
  readonly missing: readonly { readonly path: string; readonly reason: string }[];
  readonly problems: readonly { readonly path: string; readonly code: string }[];
  readonly activity: string;
  readonly keyLog?: {
    readonly faults: readonly object[];
    /** What nobody has seen yet. */
    readonly notices: readonly { readonly kind: string; readonly details: Readonly<Record<string, unknown>> }[];
  };
};

/** `status`, as administrator. */
export async function statusOf({ socketPath }: Pick<RunningAgentProcess, 'socketPath'>): Promise<AgentStatus> {
  return (await askAgent(socketPath, { request: 'status' })) as unknown as AgentStatus;
}

/** Waits until every set stands as wanted; returns the status that says so. */
export async function untilStanding(
  agent: RunningAgentProcess,
  wanted: string,
  timeoutMs = 60_000,
): Promise<AgentStatus> {
  let status = await statusOf(agent);
  const isThere = async () => {
    status = await statusOf(agent);
    return status.standings.every(({ state }) => state === wanted);
  };
  await until(isThere, `every set to be ${wanted}, and not ${JSON.stringify(status.standings)}`, timeoutMs);
  return status;
}

/** The paths that `ls` lists; undefined where nothing of that path is in the archive. */
export async function listed(agent: RunningAgentProcess, path: string): Promise<readonly string[] | undefined> {
  const paths: string[] = [];
  const onItem = (item: Readonly<Record<string, unknown>>) => void paths.push(String(item['path']));
  return askAgent(agent.socketPath, { request: 'ls', path }, { onItem }).then(
    () => paths,
    () => undefined,
  );
}

/** Figures of a process: seconds of the processor so far, and the most memory it had since `resetPeak`. */
export function figuresOf(pid: number): { readonly cpuSeconds: number; readonly peakMegabytes: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ');
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, peakMegabytes: Number(peak) / 1024 };
}

/** Lets the most memory of a process be counted from now on. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Runs a program to its end, whatever it prints; resolves with its exit code and how many bytes it printed. */
export function runQuietly(
  file: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<{ readonly code: number | null; readonly lines: number; readonly stderr: string }> {
  const child = spawn(file, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let [lines, stderr] = [0, ''];
  child.stdout.on('data', (chunk: Buffer) => {
    for (const byte of chunk) if (byte === 0x0a) lines++;
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-100_000)));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, lines, stderr })));
}
