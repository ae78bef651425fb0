/** What is said of data that a destination lost. */
import { timeText } from './figures.ts';

/** A record that is missing or damaged. */
export type Damage = {
  readonly ordinal?: number;
  /** One of the files it belongs to, and since when it was as it is meant. */
  readonly path?: string;
  readonly versionAt?: string;
  readonly problem: string;
};

/** Commits that a destination had acknowledged and no longer had. */
export type Loss = { readonly at: string; readonly fromCommit: number; readonly toCommit: number };

/** One line for a damaged record: the file and the version where they are known, the record, what is wrong with it. */
export function damagedText({ ordinal, path, versionAt, problem }: Damage): string {
  const version = versionAt === undefined ? '' : `, as it was from ${timeText(versionAt)} on`;
  const where = [
    ...(path === undefined ? [] : [`${path}${version}`]),
    ...(ordinal === undefined ? [] : [`record ${ordinal}`]),
  ];
  return where.length === 0 ? problem : `${where.join(', ')}: ${problem}`;
}

/** One line, indented, for what a destination no longer had. */
export function lossText({ at, fromCommit, toCommit }: Loss): string {
  const commits = fromCommit === toCommit ? `commit ${toCommit}` : `commits ${fromCommit} to ${toCommit}`;
  return `  on ${timeText(at)} it no longer had ${commits}, which it had acknowledged; what is still on this computer was sent again`;
}
