/** Keeps the older nodes of the tree, so that what was struck reads names still. */
export const mutant = {
  file: 'packages/archive/src/backup/close-past.ts',
  find: 'isOld: (ordinal: Ordinal) => ordinal < below,',
  replace: 'isOld: () => false,',
  test: 'apps/agent/src/engine/reseal.system.test.ts',
};
