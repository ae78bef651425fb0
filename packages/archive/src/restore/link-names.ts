/** Further names of one file, given once the file itself is in place. */
import { restoreErrors } from './errors.ts';
import { entryStates as states } from './plan-schema.ts';
import type { OpenEntry } from './restore-journal.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';

const linkedAtOnce = 256;

/**
 * Links every name that is left to its leader. Where that cannot be (the leader was not restored, another volume, too many
 * names), the name becomes a file of its own: answers whether contents are to be restored for such.
 */
export async function linkNames(run: RestoreRun): Promise<boolean> {
  let isMore = false;
  for (let after = 0; ;) {
    run.check();
    const entries = run.journal.entries(states.pending, after, linkedAtOnce, 'e.leader is not null');
    const last = entries.at(-1);
    if (last === undefined) break;
    after = last.entry;
    const alone = await linkAll(run, entries);
    for (const entry of alone) {
      const now = run.journal.entry(entry.entry);
      // It may follow another one by now that was promoted a moment ago.
      if (now?.leader !== entry.leader) isMore = true;
      else if (!failWithLeader(run, entry)) {
        run.journal.promote(entry);
        isMore = true;
      }
    }
    run.journal.flush();
  }
  return isMore;
}

/** Answers those that could not be linked. */
async function linkAll(run: RestoreRun, entries: readonly OpenEntry[]): Promise<OpenEntry[]> {
  const places = new JobPlaces();
  const alone: OpenEntry[] = [];
  const works = entries.flatMap((entry) => {
    const leader = entry.leader === null ? undefined : run.journal.entry(entry.leader);
    const isThere = leader?.state === states.placed || leader?.state === states.identical;
    if (!isThere || leader.placed_name === null || leader.inode === null) {
      alone.push(entry);
      return [];
    }
    const leaderPlace = places.add(run.placeOf(leader.directory));
    const leaderInode = BigInt(leader.inode);
    return [{ ...run.workOf(entry, places), leaderPlace, leaderName: leader.placed_name, leaderInode }];
  });
  if (works.length === 0) return alone;
  const reply = await run.doEntries({ kind: 'link', places: places.places, entries: works }, entries);
  const refused = new Set(reply.entries.filter(({ status }) => status === 'unlinkable').map(({ entry }) => entry));
  return [...alone, ...entries.filter(({ entry }) => refused.has(entry))];
}

const contentCodes: ReadonlySet<string> = new Set([
  restoreErrors.piece_damaged.code,
  restoreErrors.content_damaged.code,
  restoreErrors.record_missing.code,
]);

/** A content that is lost is lost for all its names; another failure of the leader is its own. */
function failWithLeader(run: RestoreRun, { entry, leader }: OpenEntry): boolean {
  if (leader === null) return false;
  const { state, code, message } = run.journal.failureOf(leader);
  if (state !== states.failed && state !== states.damaged) return false;
  if (code === null || !(contentCodes.has(code) || code.startsWith('archive.'))) return false;
  run.journal.record({ entry, status: 'failed', code, message: message ?? code });
  return true;
}
