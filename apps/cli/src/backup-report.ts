/** What is said of a backup that a person asked for. */
import { bytesText } from './figures.ts';

/** How far a backup has come. */
export type BackupCounts = {
  readonly files: number;
  readonly readBytes: number;
  readonly newBytes: number;
  readonly sentBytes: number;
};
type Standing = {
  readonly set: string;
  readonly destination?: string;
  readonly state: string;
  readonly reason: string;
  readonly remedy?: string;
};
/** What the agent says of a backup that has ended. */
export type BackupReport = BackupCounts & {
  readonly directories: number;
  readonly selectedBytes: number;
  readonly changedNames: number;
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly moreProblems: number;
  readonly missing: readonly { readonly path: string }[];
  readonly lostDestinations: readonly string[];
  readonly standings: readonly Standing[];
  /** The backup sets that were looked at. */
  readonly sets: readonly string[];
  /** Those that were not, since none of their destinations is there. */
  readonly leftOut: readonly string[];
};

const shownProblems = 20;

/** Whether something that was meant is in no destination now: a set, a folder, an entry, or what a lost destination was to have. */
export function isIncomplete({ lostDestinations, missing, problems, leftOut }: BackupReport): boolean {
  return lostDestinations.length + missing.length + problems.length + leftOut.length > 0;
}

/** What a person is told of a backup. */
export function backupText(report: BackupReport): string {
  const { sets, files, directories, selectedBytes, changedNames, newBytes, sentBytes, problems, missing } = report;
  const lines = [
    `looked at ${sets.map((set) => `"${set}"`).join(', ')}`,
    `${files.toLocaleString('en')} entries in ${directories.toLocaleString('en')} folders, ${bytesText(selectedBytes)}`,
    `${changedNames.toLocaleString('en')} changed since the last look, ${bytesText(newBytes)} new, ${bytesText(sentBytes)} sent`,
    ...storedText(report),
    ...lackingText(report),
    ...report.leftOut.map((set) => `left out: "${set}", none of its destinations is there`),
    ...missing.map(({ path }) => `not there: ${path}`),
    ...problems.slice(0, shownProblems).map(({ path, message }) => `not read: ${path}: ${message}`),
  ];
  const more = problems.length - shownProblems + report.moreProblems;
  return (more > 0 ? [...lines, `and ${more} more that could not be read`] : lines).join('\n');
}

/** What the agent had sent before by itself is stored as well: the counts alone look as if nothing had been. */
function storedText({ standings }: BackupReport): readonly string[] {
  const isStored = standings.length > 0 && standings.every(({ state }) => state === 'protected');
  return isStored ? ['everything is stored, with what was sent before by itself'] : [];
}

/** Destinations that do not have it, once each whatever the number of sets. */
function lackingText({ standings }: BackupReport): readonly string[] {
  const lines = standings
    .filter(({ state, destination }) => destination !== undefined && ['behind', 'failed'].includes(state))
    .map(({ destination, reason, remedy }) => `not at ${destination}: ${reason}${remedy ? `; ${remedy}` : ''}`);
  return [...new Set(lines)];
}
