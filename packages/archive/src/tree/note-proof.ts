import { equalBytes } from '../format/cursor.ts';
import type { KeyringFork, KeyringLine, LineChooser } from './choose-keyring.ts';
import { type KeyringCandidate, numberOf } from './keyring-tree.ts';
import { noteProblem } from './note-problem.ts';
import type { ReadProblem } from './record-source.ts';
import { entriesBehind, type WriterLists } from './writer-lists.ts';

/** Sides of a fork that its sentence names. */
const mostSidesNamed = 8;

/** Says what is missing from the proof of a line of keyrings, and which keyrings are not of it. */
export async function noteProof(
  { line, forks }: KeyringLine,
  by: {
    readonly chooser: LineChooser;
    readonly candidates: readonly KeyringCandidate[];
    readonly lists: WriterLists;
    readonly problems: ReadProblem[];
  },
): Promise<void> {
  const say = (problem: string): void => noteProblem(by.problems, { problem });
  for (const fork of forks) say(sentenceOf(fork));
  for (const node of line.filter(({ step }) => step === 'gap'))
    say(`the keyring before keyring ${numberOf(node)} is not here: that it follows is not proven`);
  const last = line.at(-1)!;
  for (const list of entriesBehind(last.writers, by.lists.empty)) {
    if (await by.lists.isIntroduced(list)) continue;
    const { number, origin } = list.writer!;
    say(`writer ${number} (${origin}) was not introduced by the writer before it: that it may write is not proven`);
  }
  if (!by.chooser.isSpokenFor(last))
    say(`no commit that opens names keyring ${numberOf(last)}: that its writers count is not proven`);
  const ofLine = new Set(line.map(({ candidate }) => candidate));
  for (const candidate of by.candidates) {
    if (ofLine.has(candidate)) continue;
    const { keyring, ordinal } = candidate;
    const problem = `keyring ${keyring.number} is not of the line that counts: its writers do not count`;
    noteProblem(by.problems, { problem, ordinal });
  }
}

/** Two keyrings of one number are evidence of an attack or a defect. @param candidates by falling number */
export function noteTwins(candidates: readonly KeyringCandidate[], problems: ReadProblem[]): void {
  for (const [index, { keyring, sha256, ordinal }] of candidates.entries()) {
    const before = candidates[index - 1];
    const isTwin = before?.keyring.number === keyring.number && !equalBytes(before.sha256, sha256);
    if (isTwin) noteProblem(problems, { problem: `there are two keyrings of number ${keyring.number}`, ordinal });
  }
}

function sentenceOf({ after, sides }: KeyringFork): string {
  const named = sides.slice(0, mostSidesNamed).map((side) => `${side.number} (${side.sha256.toHex().slice(0, 16)})`);
  const more = sides.length > named.length ? ` and ${sides.length - named.length} more` : '';
  return `behind keyring ${after} the archive has several lives, which end in the keyrings ${named.join(', ')}${more}: which is right is not proven`;
}
