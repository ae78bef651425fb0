import type { ReadProblem } from './record-source.ts';

/** How many problems of one kind are listed: who can add records to a store can make any number of some kinds. */
export const mostProblemsOfKind = 100;

const counts = new WeakMap<ReadProblem[], Map<string, number>>();

/** Lists a problem; behind the last of its kind that is listed it is said that there are more. */
export function noteProblem(problems: ReadProblem[], problem: ReadProblem): void {
  const counted = counts.get(problems) ?? new Map<string, number>();
  counts.set(problems, counted);
  // Sentences of one kind differ by their numbers and hashes.
  const kind = problem.problem.replaceAll(/[0-9a-f]{16}|\d+/g, '…');
  const count = (counted.get(kind) ?? 0) + 1;
  counted.set(kind, count);
  if (count <= mostProblemsOfKind) problems.push(problem);
  else if (count === mostProblemsOfKind + 1)
    problems.push({ problem: `there are more problems than are listed: ${kind}` });
}
