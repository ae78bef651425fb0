/** Making the directories of a restore, or taking those that are there. */
import { CodedError } from '@holdfast/base';
import { restoreErrors } from './errors.ts';
import type { ConflictPolicy, DirectoriesJob, DirectoryResult, NewDirectory, RestorePolicy } from './messages.ts';
import type { OpenDirectories } from './open-directories.ts';
import { escapedName, restoredName } from './restored-name.ts';
import type { NameOutcome, Target } from './target.ts';

const mostAttempts = 10_000;

/** Makes the directories of a job, none of them in another; a failure is a result. */
export function makeDirectories(
  target: Target,
  open: OpenDirectories,
  job: DirectoriesJob,
  policy: RestorePolicy,
): DirectoryResult[] {
  return job.directories.map((wanted) =>
    attempt(wanted, () => {
      const parent = job.places[wanted.place];
      if (parent === undefined) throw restoreErrors.folder_missing();
      return makeOne(target, open.fdOf(parent), wanted, policy);
    }),
  );
}

function attempt(wanted: NewDirectory, work: () => DirectoryResult): DirectoryResult {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    return { ...nothingOf(wanted), status: 'failed', code: error.code, message: error.message };
  }
}

function nothingOf({ directory, name }: NewDirectory) {
  return { directory, name, inode: 0n, device: 0, wasEmpty: false };
}

function makeOne(target: Target, parentFd: number, wanted: NewDirectory, policy: RestorePolicy): DirectoryResult {
  const isHeld = target.makeDirectory(parentFd, wanted.name);
  const name = isHeld === 'bad_name' ? escapedName(wanted.name) : wanted.name;
  const outcome = isHeld === 'bad_name' ? target.makeDirectory(parentFd, name) : isHeld;
  const made = outcome === 'exists' ? takeOrRename(target, parentFd, name, policy.onConflict) : { outcome, name };
  if (made === undefined) return { ...nothingOf(wanted), status: 'skipped' };
  if (made.outcome === 'bad_name') throw restoreErrors.unusable_name();
  const fd = target.openDirectory(parentFd, made.name);
  try {
    const { inode, device } = target.statDescriptor(fd);
    const status = made.outcome === 'done' ? 'made' : 'existed';
    if (status === 'made' && wanted.isInherited) target.clearAccessLists(fd);
    return { directory: wanted.directory, name: made.name, status, inode, device, wasEmpty: target.isEmpty(fd) };
  } finally {
    target.close(fd);
  }
}

type Made = { readonly outcome: NameOutcome; readonly name: Uint8Array };

/** A directory that is there is taken; anything else in its place falls under the policy. Undefined where it keeps the place. */
function takeOrRename(target: Target, parentFd: number, name: Uint8Array, policy: ConflictPolicy): Made | undefined {
  if (target.statAt(parentFd, name)?.type === 'directory') return { outcome: 'exists', name };
  if (policy === 'skip') return undefined;
  if (policy === 'overwrite') {
    target.remove(parentFd, name);
    return { outcome: target.makeDirectory(parentFd, name), name };
  }
  for (let number = 1; number <= mostAttempts; number++) {
    const beside = restoredName(name, number);
    const outcome = target.makeDirectory(parentFd, beside);
    if (outcome === 'done' || outcome === 'bad_name') return { outcome, name: beside };
    if (target.statAt(parentFd, beside)?.type === 'directory') return { outcome, name: beside };
  }
  return { outcome: 'bad_name', name };
}
