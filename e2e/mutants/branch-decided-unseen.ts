/** Takes down as taken in what a branch got after it was looked at: nobody is shown that again. */
export const mutant = {
  file: 'apps/agent/src/control/answer-branches.ts',
  find: 'const known = undecided(parts, asked.branch);',
  replace: 'const known = asked;',
  test: 'apps/agent/src/branches/branches.system.test.ts',
};
