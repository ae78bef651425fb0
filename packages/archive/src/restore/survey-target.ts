/** Before anything is fetched: what of the plan is there already, left by an earlier run or never gone. */
import type { SourceRange } from '../backup/source.ts';
import { rowTypes } from '../format/row.ts';
import { emptyNotes, type EntryResult, type PieceWork } from './messages.ts';
import type { OpenEntry } from './restore-journal.ts';
import { entryStates as states } from './plan-schema.ts';
import { JobPlaces, type RestoreRun } from './restore-run.ts';
import type { LongFiles } from './long-files.ts';
import { restoredName } from './restored-name.ts';
import type { Comparison } from './survey.ts';

const surveyedAtOnce = 256;
const piecesAtOnce = 2048;
const jobsAtOnce = 4;

/** Looks at every pending entry in directories that were there before; after an interruption at every one. */
export async function surveyTarget(run: RestoreRun, files: LongFiles, isResumed: boolean): Promise<void> {
  const where = isResumed
    ? 'e.leader is null'
    : 'e.leader is null and e.directory in (select directory from directories where state = 2)';
  const underWay = new Set<Promise<unknown>>();
  for (let after = 0; ;) {
    run.check();
    const entries = run.journal.entries(states.pending, after, surveyedAtOnce, where);
    const last = entries.at(-1);
    if (last === undefined) break;
    after = last.entry;
    const short = entries.filter((entry) => !isLong(run, entry));
    const job = surveyShort(run, short).finally(() => underWay.delete(job));
    underWay.add(job);
    for (const entry of entries) if (isLong(run, entry)) await surveyLong(run, files, entry);
    if (underWay.size >= jobsAtOnce) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  run.journal.flush();
}

/** Whether the content is more than one piece that begins and ends with the file. */
export function isLong(run: RestoreRun, entry: OpenEntry): boolean {
  if (rowTypes[entry.type] !== 'file' || entry.pieces === 0) return false;
  if (entry.pieces > 1) return true;
  return run.journal.piecesOf(entry.entry, 0, 1)[0]?.length !== entry.size;
}

async function surveyShort(run: RestoreRun, entries: readonly OpenEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const places = new JobPlaces();
  const works = entries.map((entry) => {
    const [piece] = entry.pieces === 0 ? [] : run.journal.piecesOf(entry.entry, 0, 1);
    return { ...run.workOf(entry, places), sizeBytes: entry.size, ...(piece && { piece }) };
  });
  const reply = await run.doEntries({ kind: 'survey', places: places.places, entries: works }, entries);
  const pieces = new Map(works.map(({ entry, piece }) => [entry, piece]));
  for (const { entry, status } of reply.entries) {
    const piece = status === 'written' || status === 'placed' ? pieces.get(entry) : undefined;
    if (piece) run.journal.donePieces(entry, [piece]);
  }
}

/** What an earlier run wrote is kept; else what has the name gives what it has. */
async function surveyLong(run: RestoreRun, files: LongFiles, entry: OpenEntry): Promise<void> {
  const temporary = await compare(run, entry, run.temporaryOf(entry.entry));
  if (temporary && temporary.sizeBytes === entry.size) {
    await files.resume(entry, { inode: temporary.inode, done: temporary.done });
    return;
  }
  for (let attempt = 0; ; attempt++) {
    const name = attempt === 0 ? entry.name : restoredName(entry.name, attempt);
    const found = await compare(run, entry, name);
    if (found === undefined) return;
    const { inode, device } = found;
    const isWhole = found.sizeBytes === entry.size && found.done.length === entry.pieces && found.areHolesEmpty;
    if (isWhole) return take(run, entry, { entry: entry.entry, status: 'identical', name, inode, device });
    if (run.policy.onConflict === 'skip') return take(run, entry, { entry: entry.entry, status: 'skipped' });
    if (attempt === 0 && found.done.length > 0) {
      await copyPieces(run, files, entry, found.done);
      return;
    }
  }
}

async function take(run: RestoreRun, entry: OpenEntry, result: EntryResult): Promise<void> {
  await run.take({ kind: 'entries', job: 0, entries: [result], parts: [], unopened: [], notes: emptyNotes() }, [entry]);
}

type Compared = Omit<Comparison, 'matches'> & { readonly done: readonly PieceWork[] };

async function compare(run: RestoreRun, entry: OpenEntry, name: Uint8Array): Promise<Compared | undefined> {
  let all: Compared | undefined;
  const done: PieceWork[] = [];
  for (const { pieces, holes } of slicesOf(run, entry)) {
    const places = [run.placeOf(entry.directory)];
    const { comparison } = await run.pool.ask('compared', { kind: 'compare', places, place: 0, name, pieces, holes });
    if (comparison === undefined) return undefined;
    for (const index of comparison.matches) done.push(pieces[index]!);
    const { matches: _matches, ...facts } = comparison;
    all = { ...facts, areHolesEmpty: facts.areHolesEmpty && (all?.areHolesEmpty ?? true), done };
  }
  return all;
}

async function copyPieces(
  run: RestoreRun,
  files: LongFiles,
  entry: OpenEntry,
  found: readonly PieceWork[],
): Promise<void> {
  const inode = await files.begin(entry);
  const done: PieceWork[] = [];
  const places = [run.placeOf(entry.directory)];
  const temporary = run.temporaryOf(entry.entry);
  const copyTo = { entry: entry.entry, place: 0, temporary, inode };
  for (let at = 0; at < found.length; at += piecesAtOnce) {
    run.check();
    const pieces = found.slice(at, at + piecesAtOnce);
    const job = { kind: 'compare', places, place: 0, name: entry.name, pieces, holes: [], copyTo } as const;
    const { comparison } = await run.pool.ask('compared', job);
    for (const index of comparison?.matches ?? []) done.push(pieces[index]!);
  }
  await files.resume(entry, { inode, done });
}

/** The pieces of an entry, some at a time, with the holes before them; the last slice is the hole at the end, if there is one. */
function* slicesOf(run: RestoreRun, { entry, size }: OpenEntry) {
  let end = 0;
  for (;;) {
    run.check();
    const pieces = run.journal.piecesOf(entry, end, piecesAtOnce);
    const holes: SourceRange[] = [];
    for (const { position, length } of pieces) {
      if (position > end) holes.push({ offset: end, length: position - end });
      end = position + length;
    }
    if (pieces.length > 0) yield { pieces, holes };
    else break;
  }
  if (end < size) yield { pieces: [], holes: [{ offset: end, length: size - end }] };
}
