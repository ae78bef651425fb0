/**
 * The process that writes restored files as the user who asked for them.
 *
 * It starts as root, loads everything, and only then becomes the user: a process started as the user could not read a
 * program below `/root`, and would miss the user's groups. From then on it may do what the user may. It never has a key:
 * the agent opens records and hands it pieces.
 */
import { mkdirSync } from 'node:fs';
import type { RestoreReply } from '@holdfast/archive';
import { RestoreWorker } from '@holdfast/archive/restore-worker';
import { CodedError } from '@holdfast/base';
import { asFileError, closeDescriptor, openDirectory } from '../filesystem/index.ts';
import { createLinuxTarget } from '../restore/linux-target.ts';
import type { FromWriter, PlainError, ToWriter, WriterSetup } from './messages.ts';
import { makeUndumpable } from './undumpable.ts';

let worker: RestoreWorker | undefined;

// Loads the native library.
closeDescriptor(openDirectory('/'));
process.on('message', hear);
process.on('disconnect', () => process.exit(0));
say({ kind: 'ready' });

function say(message: FromWriter): void {
  process.send?.(message);
}

function hear(message: ToWriter): void {
  if (message.kind === 'setup') begin(message.setup);
  else if (worker) say({ kind: 'reply', reply: worker.serve(message.job) satisfies RestoreReply });
}

function begin({ user, target, policy }: WriterSetup): void {
  try {
    become(user);
    worker = new RestoreWorker({ rootFd: openTarget(Buffer.from(target)), policy }, createLinuxTarget());
    say({ kind: 'open' });
  } catch (error) {
    say({ kind: 'refused', error: asPlain(error) });
  }
}

function become({ uid, gid, name }: WriterSetup['user']): void {
  if (name === undefined) process.setgroups!([gid]);
  else (process as unknown as { initgroups(user: string, extraGroup: number): void }).initgroups(name, gid);
  process.setgid!(gid);
  process.setuid!(uid);
  makeUndumpable();
}

function openTarget(target: Buffer): number {
  try {
    mkdirSync(target, { recursive: true });
  } catch (error) {
    throw asFileError(error, target);
  }
  return openDirectory(target);
}

function asPlain(error: unknown): PlainError {
  if (error instanceof CodedError) {
    const { code, kind, message, details } = error;
    return { code, kind, message, details };
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'control.fault', kind: 'unavailable', message: 'A fault of Holdfast itself', details: { stack } };
}
