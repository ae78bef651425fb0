import { bytesText, timeText } from '../figures.ts';

/** A branch as the agent shows it. */
export type ShownBranch = {
  readonly branch: number;
  readonly destination?: string;
  readonly state: 'open' | 'taken_in' | 'given_up';
  readonly fromCommit: number;
  readonly toCommit: number;
  readonly from: string;
  readonly to: string;
  readonly isMixed: boolean;
  readonly files?: number;
  readonly versions?: number;
  readonly versionBytes?: number;
  readonly newBytes?: number;
  readonly decidedAt?: string;
  readonly keptUntil?: string;
};

/** A branch for people: where, since when, how much, and what to do. */
export function branchText(shown: ShownBranch): string {
  const { branch, destination = 'a destination that was removed', fromCommit, toCommit, from, to, isMixed } = shown;
  const commits = fromCommit === toCommit ? `commit ${fromCommit}` : `commits ${fromCommit} to ${toCommit}`;
  return [
    `${branch}  ${destination}: ${commits}, ${timeText(from)} to ${timeText(to)}`,
    `  ${howMuch(shown)}`,
    `  ${stateText(shown)}`,
    ...(isMixed ? [mixedText] : []),
  ].join('\n');
}

const mixedText =
  '  The destination has other records under numbers that the archive uses, so it cannot go on with it: add another folder.';

function howMuch({ files, versions = 0, versionBytes = 0, newBytes = 0 }: ShownBranch): string {
  if (files === undefined) return 'connect it to see what only it has';
  if (versions === 0) return 'it has nothing that the archive lacks';
  const of = `${versions.toLocaleString('en')} versions of ${files.toLocaleString('en')} files`;
  return `only there: ${of}, ${bytesText(versionBytes)}, of which ${bytesText(newBytes)} are stored nowhere else`;
}

function stateText({ branch, state, decidedAt, keptUntil }: ShownBranch): string {
  if (state === 'taken_in') return `taken in on ${timeText(decidedAt)}`;
  if (state === 'open') return `What to do: holdfast branch take-in ${branch}, or holdfast branch give-up ${branch}`;
  return `given up on ${timeText(decidedAt)}; until ${timeText(keptUntil)}: holdfast branch give-up ${branch} --undo`;
}
