import { spawn } from 'node:child_process';

/** What a program of the system came to; `started` is false where there is none. */
export type Outcome = { readonly started: boolean; readonly ok: boolean; readonly errors: string };

const ERRORS_KEPT_BYTES = 4 * 1024 * 1024;

/** Runs a program of the system with bytes on its input; its messages come back as latin1. */
export function runProgram(program: string, args: readonly string[], input: Buffer): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C' },
    });
    const errors: Buffer[] = [];
    let kept = 0;
    child.stderr.on('data', (chunk: Buffer) => {
      if (kept < ERRORS_KEPT_BYTES) errors.push(chunk);
      kept += chunk.length;
    });
    child.stdin.on('error', () => undefined); // it ended before it read all: its exit code tells
    child.on('error', () => resolve({ started: false, ok: false, errors: '' }));
    child.on('close', (code) =>
      resolve({ started: true, ok: code === 0, errors: Buffer.concat(errors).toString('latin1') }),
    );
    child.stdin.end(input);
  });
}
