/** The small reader works out the slots of keyrings that anybody can add before those of the line that nobody can forge. */
export const mutant = {
  file: 'packages/recover/src/archive/open-ring.ts',
  find: 'prepareUntil(by, plainLine, plainLine.at(-1));',
  replace: 'prepareUntil(by, keyrings.toReversed());',
  test: 'packages/recover/src/tries.system.test.ts',
};
