/** What a restore did, as a value. */
import { rowTypes } from '../format/row.ts';
import { directoryStates, entryStates as states } from './plan-schema.ts';
import { emptyNotes, type RestoreNotes } from './messages.ts';
import type { RestorePlan } from './restore-plan.ts';

/** A path relative to the target, with what happened there. */
export type RestoreProblem = { readonly path: Uint8Array; readonly code: string; readonly message: string };

/** An entry that has another name than the recorded one, since that was taken or the target cannot hold it. */
export type RenamedEntry = { readonly path: Uint8Array; readonly name: Uint8Array };

/** What a restore came to, runs before a stop included. Lists hold the first thousand; counts are whole. */
export type RestoreReport = {
  readonly directories: number;
  /** Entries that are in place now, however they got there: of every type but directories. */
  readonly restored: number;
  /** Among them, those whose content was there before, or from an earlier run. */
  readonly identical: number;
  readonly restoredBytes: number;
  /** Entries left as they were, since something else has the name. */
  readonly skipped: number;
  readonly renamedCount: number;
  readonly renamed: readonly RenamedEntry[];
  readonly failedCount: number;
  readonly failed: readonly RestoreProblem[];
  /** What is lost besides whole entries: parts of the archive's tree, attributes, joined names. */
  readonly problems: readonly RestoreProblem[];
  /** Files whose content changed while it was backed up. */
  readonly fuzzy: number;
  readonly notes: RestoreNotes;
};

const listed = 1000;

/** The report of a plan's execution so far. */
export function reportOf(plan: RestorePlan): RestoreReport {
  const counts = plan
    .sql(
      `select count(*) filter (where state in (${states.placed}, ${states.identical})) as restored,
       count(*) filter (where state = ${states.identical}) as identical,
       coalesce(sum(size) filter (where state = ${states.placed} and leader is null), 0) as restoredBytes,
       count(*) filter (where state = ${states.skipped}) as skipped,
       count(*) filter (where state in (${states.failed}, ${states.damaged})) as failedCount,
       count(*) filter (where ${isRenamed}) as renamedCount,
       coalesce(sum(is_fuzzy) filter (where state in (${states.placed}, ${states.identical})), 0) as fuzzy
     from entries`,
    )
    .get() as Pick<
    RestoreReport,
    'restored' | 'identical' | 'restoredBytes' | 'skipped' | 'failedCount' | 'renamedCount' | 'fuzzy'
  >;
  const directories = directoryCounts(plan);
  return {
    ...counts,
    ...directories,
    renamedCount: counts.renamedCount + directories.renamedCount,
    failedCount: counts.failedCount + directories.failedCount,
    renamed: [...renamedIn(plan, 'directories', isRenamedDirectory), ...renamedIn(plan, 'entries', isRenamed)].slice(
      0,
      listed,
    ),
    failed: [...failedDirectories(plan), ...failedEntries(plan)].slice(0, listed),
    problems: problemsOf(plan),
    notes: notesOf(plan),
  };
}

/** Adds counts to those of earlier runs. */
export function keepNotes(plan: RestorePlan, notes: RestoreNotes): void {
  plan.set('notes', JSON.stringify(notes));
}

/** The counts of earlier runs. */
export function notesOf(plan: RestorePlan): RestoreNotes {
  const kept = plan.get('notes');
  return typeof kept === 'string' ? { ...emptyNotes(), ...(JSON.parse(kept) as RestoreNotes) } : emptyNotes();
}

const isRenamed = `state in (${states.placed}, ${states.identical}) and placed_name <> name`;
const isRenamedDirectory = `state in (${directoryStates.made}, ${directoryStates.taken}) and placed_name <> name`;

function directoryCounts(plan: RestorePlan): { directories: number; renamedCount: number; failedCount: number } {
  return plan
    .sql(
      `select count(*) filter (where directory > 0 and state in (${directoryStates.made}, ${directoryStates.taken})) as directories,
       count(*) filter (where ${isRenamedDirectory}) as renamedCount,
       count(*) filter (where code is not null) as failedCount
     from directories`,
    )
    .get() as { directories: number; renamedCount: number; failedCount: number };
}

function renamedIn(plan: RestorePlan, table: 'directories' | 'entries', where: string): RenamedEntry[] {
  const parent = table === 'directories' ? 'parent' : 'directory';
  const rows = plan.sql(`select ${parent} as at, name, placed_name from ${table} where ${where} limit ${listed}`).all();
  return rows.map((row) => ({
    path: plan.pathOf(row['at'] as number, row['name'] as Uint8Array),
    name: row['placed_name'] as Uint8Array,
  }));
}

function failedEntries(plan: RestorePlan): RestoreProblem[] {
  const rows = plan.sql(
    `select directory, name, code, message from entries where state in (${states.failed}, ${states.damaged}) limit ${listed}`,
  );
  return toProblems(plan, rows.all());
}

function failedDirectories(plan: RestorePlan): RestoreProblem[] {
  const rows = plan.sql(
    `select parent as directory, name, code, message from directories where code is not null limit ${listed}`,
  );
  return toProblems(plan, rows.all());
}

function problemsOf(plan: RestorePlan): RestoreProblem[] {
  return toProblems(plan, plan.sql(`select * from problems limit ${listed}`).all());
}

function toProblems(plan: RestorePlan, rows: readonly Record<string, unknown>[]): RestoreProblem[] {
  return rows.map((row) => ({
    path: plan.pathOf(row['directory'] as number, row['name'] as Uint8Array),
    code: row['code'] as string,
    message: row['message'] as string,
  }));
}

/** Whether an index of the format's row types stands for files. */
export function isFileType(type: number): boolean {
  return rowTypes[type] === 'file';
}
