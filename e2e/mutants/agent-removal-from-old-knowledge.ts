/** Lets a destination be removed on the word of another one that may have gone since. */
export const mutant = {
  file: 'apps/agent/src/control/answer-destinations.ts',
  find: '  await openAnew(parts);\n',
  replace: '',
  test: 'apps/agent/src/destinations/remove.system.test.ts',
};
