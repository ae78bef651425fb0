/** Owner, extended attributes, mode and time, in the order in which the kernel lets them stand. */
import { parseXattrs } from '../format/xattrs.ts';
import type { Row } from '../format/row.ts';
import type { RestoreNotes, RestorePolicy } from './messages.ts';
import type { Target } from './target.ts';

/** What is to be given, by which rules, and where to count what could not be. */
export type MetadataWork = {
  readonly row: Row;
  readonly xattrs: Uint8Array;
  readonly policy: RestorePolicy;
  readonly notes: RestoreNotes;
};

const privilegeBits = 0o6000;

/**
 * Gives what is open the recorded metadata; what the process may not give is counted.
 *
 * A setuid or setgid bit is given on request only, and never to a file that has another owner than the recorded one:
 * it would lend the wrong person's rights.
 */
export function applyMetadata(target: Target, fd: number, work: MetadataWork): void {
  const { row, policy, notes } = work;
  const isOwned = giveOwner(target, fd, work);
  if (work.xattrs.length > 0) giveAttributes(target, fd, work);
  if (row.mode !== undefined && row.type !== 'symlink') {
    const isGiven = policy.setuid && isOwned;
    const withheld = isGiven ? 0 : row.mode & privilegeBits;
    if (withheld !== 0) notes.privilegesWithheld++;
    if (!target.setMode(fd, row.mode & ~withheld)) notes.modesNotSet++;
  }
  if (row.modifiedAt !== undefined && !target.setTime(fd, row.modifiedAt)) notes.timesNotSet++;
}

function giveOwner(target: Target, fd: number, { row, policy, notes }: MetadataWork): boolean {
  const { uid, gid } = row;
  if (uid === undefined || gid === undefined) return false;
  if (policy.owners === 'recorded') {
    if (target.setOwner(fd, uid, gid)) return true;
    notes.ownersNotSet++;
    return false;
  }
  if (((row.mode ?? 0) & privilegeBits) === 0) return true;
  const found = target.statDescriptor(fd);
  return found.uid === uid && found.gid === gid;
}

function giveAttributes(target: Target, fd: number, { xattrs, policy, notes }: MetadataWork): void {
  for (const { name, value } of parseXattrs(xattrs)) {
    if (!policy.setuid && isSecurity(name)) notes.privilegesWithheld++;
    else if (!target.setAttribute(fd, name, value)) notes.attributesNotSet++;
  }
}

const securityPrefix = Buffer.from('security.');

function isSecurity(name: Uint8Array): boolean {
  return name.length >= securityPrefix.length && securityPrefix.equals(name.subarray(0, securityPrefix.length));
}
