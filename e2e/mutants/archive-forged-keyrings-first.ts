/** Tries keyrings by their number, newest first: slots that anybody can add use the tries of a reader up. */
export const mutant = {
  file: 'packages/archive/src/tree/open-ring.ts',
  find: 'await openPlainLine(await plainLine(candidates, by.lists), attempt);',
  replace: 'await openPlainLine(candidates, attempt);',
  test: 'packages/archive/src/tree/open-ring.test.ts',
};
