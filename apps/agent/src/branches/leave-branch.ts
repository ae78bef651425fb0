/** A destination whose newest commit is not of the line: what it has is taken down, and what a person decided is done. */
import type { Clock } from '@holdfast/base';
import type { DeviceArchive } from '../archive/device-archive.ts';
import type { DestinationSession } from '../destinations/destination-place.ts';
import { destinationErrors } from '../destinations/errors.ts';
import type { BranchBook, KnownBranch } from './branch-book.ts';
import { findBranch } from './read-branch.ts';

type LeavePorts = { readonly branches: BranchBook; readonly clock: Clock };

/**
 * Has a destination go on behind the commit where its branch left the line, if a person decided what becomes of the branch;
 * it keeps the branch's records. Else nothing is changed there, and the branch is taken down.
 *
 * @throws destinations.branched with what to do, destinations.mixed where its records have ordinals of the line's
 */
export async function leaveBranch(
  archive: DeviceArchive,
  session: DestinationSession,
  destinationId: number,
  { branches, clock }: LeavePorts,
): Promise<void> {
  const { name, head } = session;
  const before = head && branches.withHead(destinationId, head);
  const known = before ?? (await noted(archive, session, destinationId, { branches, clock }));
  if (!known || known.state === 'open') throw branchedAt(name, known);
  if (known.isMixed) throw destinationErrors.mixed({ destination: name });
  if (!session.leaveTail) throw branchedAt(name, undefined);
  await session.leaveTail(known.fork);
}

async function noted(
  archive: DeviceArchive,
  session: DestinationSession,
  destinationId: number,
  { branches, clock }: LeavePorts,
): Promise<KnownBranch | undefined> {
  const found = await findBranch(archive, session, destinationId);
  return found && branches.note(found, clock.now());
}

function branchedAt(destination: string, known: KnownBranch | undefined): Error {
  if (!known) return destinationErrors.branched({ destination });
  const remedy = `see what only it has: holdfast branch show ${known.branch}; then: holdfast branch take-in ${known.branch}, or holdfast branch give-up ${known.branch}`;
  return destinationErrors.branched({ destination, branch: known.branch, remedy });
}
