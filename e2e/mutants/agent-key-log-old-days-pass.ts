/** Takes the leaf of any new day for news, however old the day is. */
export const mutant = {
  file: 'apps/agent/src/keylog/lateness.ts',
  find: 'isOldDay || ',
  replace: '',
  test: 'apps/agent/src/keylog/lateness.test.ts',
};
