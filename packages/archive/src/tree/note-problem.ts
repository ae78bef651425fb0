import type { ReadProblem } from './record-source.ts';

/** How many problems are listed: who can add records to a store can make any number of them. */
export const mostProblems = 1_000;

/** Lists a problem; behind the last that is listed it is said that there are more. */
export function noteProblem(problems: ReadProblem[], problem: ReadProblem): void {
  if (problems.length < mostProblems) problems.push(problem);
  else if (problems.length === mostProblems) problems.push({ problem: 'there are more problems than are listed' });
}
