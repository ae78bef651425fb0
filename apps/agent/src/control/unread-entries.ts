import type { Problem, Selection } from '@holdfast/archive';

/** What could not be read and is selected: each path once, with what was said of it last. */
export type UnreadEntry = Problem & { readonly sets: readonly number[] };

/** The entries that could not be read, as the sets are now: what no set selects any more is nobody's. */
export function unreadEntries(problems: readonly Problem[], selection: Selection): readonly UnreadEntry[] {
  const byPath = new Map(problems.map((problem) => [Buffer.from(problem.path).toString('latin1'), problem]));
  return [...byPath.values()].flatMap((problem) => {
    const decision = selection.decide(problem.path);
    return decision.status === 'selected' ? [{ ...problem, sets: decision.sets }] : [];
  });
}
