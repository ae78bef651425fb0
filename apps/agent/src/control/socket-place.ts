import { lstatSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CodedError } from '@holdfast/base';
import { makeFolder } from '../filesystem/make-folder.ts';
import { controlErrors } from './errors.ts';

const problems: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system can only be read',
  EEXIST: 'a file is where its folder should be',
  ENOTDIR: 'a file is where its folder should be',
  ENOENT: 'its folder is not there and cannot be made',
  ENOSPC: 'there is no room left on the disk',
  EDQUOT: 'this user has no room left on the disk',
  EADDRINUSE: 'another program listens there',
};

/**
 * Makes the place of a control socket: its folder, open to others where the socket is, and no socket left by an agent that
 * was killed. Whatever else has its name is left alone.
 *
 * @throws control.cannot_listen
 */
export function prepareSocketPlace(socketPath: string, socketMode: number): void {
  try {
    makeFolder(path.dirname(socketPath), (socketMode & 0o077) === 0 ? 0o700 : 0o755);
    const there = lstatSync(socketPath, { throwIfNoEntry: false });
    if (there && !there.isSocket())
      throw cannotListen(socketPath, 'a file or folder has this name, which is no socket');
    rmSync(socketPath, { force: true });
  } catch (error) {
    throw error instanceof CodedError ? error : cannotListenAfter(socketPath, error);
  }
}

/** The failure of a system call on the way to a control socket, in words. */
export function cannotListenAfter(socketPath: string, error: unknown): CodedError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return cannotListen(socketPath, problems[code] ?? message, error);
}

function cannotListen(socket: string, problem: string, cause?: unknown): CodedError {
  return controlErrors.cannot_listen({ socket, problem }, cause);
}
