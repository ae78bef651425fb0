/** Believes the leaf of a day that is years ahead. */
export const mutant = {
  file: 'apps/agent/src/keylog/learn.ts',
  find: '.filter((day) => day <= last)',
  replace: '.filter((day) => day <= last || day)',
  test: 'apps/agent/src/keylog/lateness.test.ts',
};
