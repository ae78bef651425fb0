/** Taking a branch into the line: its versions are stored again and sent to the destinations that are there. */
import type { TakenCounts, TakenIn } from '@holdfast/archive';
import { CodedError } from '@holdfast/base';
import type { AgentParts } from '../agent.ts';
import { protectionErrors } from '../schedule/errors.ts';
import { readyConfigs } from '../schedule/completeness.ts';
import { runPass } from '../schedule/run-pass.ts';
import type { KnownBranch } from './branch-book.ts';
import type { OpenBranch } from './read-branch.ts';

/** What taking in needs besides. */
export type TakeInWork = {
  readonly open: OpenBranch;
  readonly signal: AbortSignal;
  readonly onProgress: (done: Readonly<TakenCounts>) => void;
};

/**
 * Takes in what the line has not. Nothing else may use the destinations meanwhile. Ended anywhere, it goes on the next time
 * with what is left.
 *
 * @throws protection.no_destination, and what makes a backup fail
 */
export async function takeInBranch(parts: AgentParts, known: KnownBranch, work: TakeInWork): Promise<TakenIn> {
  const { destinations, branches, archive, database, passPorts } = parts;
  if (destinations.sessions().length === 0) throw protectionErrors.no_destination();
  const { open, signal, onProgress } = work;
  // Kept before anything is stored: whoever goes on has to know what was made for this.
  const since = known.since ?? archive.index.head().number;
  branches.change(known.branch, { since });
  const branch = { ...open, since, onProgress };
  const nothing = () => undefined;
  const hooks = { signal, unmounted: [], onDirectory: nothing, onProgress: nothing };
  try {
    const report = await runPass(passPorts, { branch, onlySets: [], directories: [] }, hooks);
    for (const { destination, error } of report.lostDestinations) {
      const session = destinations.sessions().find((each) => each === destination);
      if (session) await destinations.lose(session, error);
    }
    const { number } = archive.index.head();
    for (const { destinationId } of readyConfigs(destinations)) database.setAcknowledged(destinationId, number);
    return report.takenIn!;
  } catch (error) {
    // Whether a commit under way arrived is settled when the destinations are opened again.
    await destinations.closeAll();
    throw error instanceof CodedError ? error : protectionErrors.fault({}, error);
  }
}
