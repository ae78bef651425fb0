/** The contents of a restore: records in storage order, each opened once, for all that is wanted of it. */
import { CodedError } from '@holdfast/base';
import type { ReadableDestination } from '../backup/destination.ts';
import type { Ordinal } from '../format/ordinal.ts';
import type { OpenKeys } from '../format/seal.node.ts';
import { restoreErrors } from './errors.ts';
import type { LongFiles } from './long-files.ts';
import { entryStates as states } from './plan-schema.ts';
import { RecordReading } from './record-reading.ts';
import type { Reason } from './record-results.ts';
import type { OpenEntry, OpenPiece } from './restore-journal.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';

const ordinalsAtOnce = 4096;

/**
 * Restores every content that the plan still needs. A record that one destination does not have, or has damaged, is asked
 * of the next; what none can give fails the files that need it, and only those.
 *
 * @throws what a destination failed with when no other could help: the restore goes on later
 */
export async function restoreContents(
  run: RestoreRun,
  files: LongFiles,
  { destinations, keys }: { readonly destinations: readonly ReadableDestination[]; readonly keys: OpenKeys },
): Promise<void> {
  const reasons = new Map<Ordinal, Reason>();
  let failure: { readonly error: unknown } | undefined;
  for (const destination of destinations) {
    run.journal.flush();
    failure = undefined;
    const reading = new RecordReading(run, { files, keys, reasons });
    try {
      await reading.readAll(destination);
    } catch (error) {
      if (run.signal?.aborted || !(error instanceof CodedError) || reading.isBroken) throw error;
      failure = { error };
    }
    run.journal.flush();
    if (run.journal.ordinals(-1, 1).length === 0) return;
  }
  if (failure) throw failure.error;
  await failFilesOf(run, files, reasons);
}

/** What no destination could give. */
async function failFilesOf(run: RestoreRun, files: LongFiles, reasons: ReadonlyMap<Ordinal, Reason>): Promise<void> {
  const missing = restoreErrors.record_missing();
  for (let after = -1; ;) {
    const ordinals = run.journal.ordinals(after, ordinalsAtOnce);
    const last = ordinals.at(-1);
    if (last === undefined) break;
    after = last;
    for (const ordinal of ordinals) {
      const { code, message } = reasons.get(ordinal) ?? missing;
      for (const entry of entriesOf(run.journal.piecesIn(ordinal))) {
        run.journal.record({ entry: entry.entry, status: 'failed', code, message });
        await files.giveUp(entry);
      }
    }
  }
  run.journal.flush();
}

function entriesOf(pieces: readonly OpenPiece[]): OpenEntry[] {
  return [...new Map(pieces.map((piece) => [piece.entry, piece])).values()];
}

/** Makes what no record holds content of: links, special files, empty files, and files that are one hole. */
export async function makeContentless(run: RestoreRun): Promise<void> {
  const underWay = new Set<Promise<unknown>>();
  for (let after = 0; ;) {
    run.check();
    const entries = run.journal.entries(states.pending, after, 256, 'e.pieces = 0 and e.leader is null');
    const last = entries.at(-1);
    if (last === undefined) break;
    after = last.entry;
    const places = new JobPlaces();
    const works = entries.map((entry) => ({ ...run.workOf(entry, places), sizeBytes: entry.size }));
    const job = run
      .doEntries({ kind: 'make', places: places.places, entries: works }, entries)
      .finally(() => underWay.delete(job));
    underWay.add(job);
    if (underWay.size >= 2 * run.pool.size) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  run.journal.flush();
}
