/** Sends live sets where a branch was given up a moment ago: what may still be wanted back would be let go. */
export const mutant = {
  file: 'apps/agent/src/branches/branch-book.ts',
  find: "(state === 'given_up' && decidedAtMs + holdMs <= nowMs)",
  replace: "(state === 'given_up' && decidedAtMs <= nowMs)",
  test: 'apps/agent/src/branches/branches.system.test.ts',
};
