import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { RestoreWriter } from '@holdfast/archive';
import { CodedError, type ErrorKind } from '@holdfast/base';
import { controlErrors } from '../control/errors.ts';
import type { FromWriter, PlainError, ToWriter, WriterSetup } from './messages.ts';

const closeTimeoutMs = 30_000;

/**
 * Starts a process that becomes the user and opens the target, for jobs of one restore.
 *
 * @throws what the user may not, files.*; control.fault where it does not come up
 */
export async function startWriter(setup: WriterSetup, signal: AbortSignal): Promise<RestoreWriter> {
  const child = fork(new URL('write-process.ts', import.meta.url), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: {},
    // The user may send it signals: at SIGUSR1 Node would let whoever asks run code in it, with our channel in hand.
    execArgv: ['--disable-sigusr1', '--max-old-space-size=96', '--max-semi-space-size=4'],
    cwd: '/',
  });
  try {
    await opened(child, setup, signal);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return writerOf(child);
}

function opened(child: ChildProcess, setup: WriterSetup, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    child.on('error', (error) => reject(controlErrors.fault({}, error)));
    child.on('exit', (code) => reject(controlErrors.fault({ problem: `the process that writes ended with ${code}` })));
    child.on('message', (message: FromWriter) => {
      if (message.kind === 'ready') child.send({ kind: 'setup', setup } satisfies ToWriter);
      else if (message.kind === 'open') resolve();
      else if (message.kind === 'refused') reject(asCoded(message.error));
    });
  });
}

function writerOf(child: ChildProcess): RestoreWriter {
  return {
    listen: (onReply, onEnd) => {
      child.on('message', (message: FromWriter) => {
        if (message.kind === 'reply') onReply(message.reply);
      });
      child.on('error', (error) => onEnd(error));
      child.on('exit', (code) => onEnd(undefined, code ?? undefined));
    },
    post: (job) => {
      if (child.connected) child.send({ kind: 'job', job } satisfies ToWriter);
    },
    // A closed channel ends the process after what it was told before.
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), closeTimeoutMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

function asCoded({ code, kind, message, details }: PlainError): CodedError {
  return new CodedError({ code, kind: kind as ErrorKind, message, details });
}
