/** Tries an archive as often as it sends keyrings. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-new-slots.ts',
  find: '.filter(({ runs }) => runs < newSlotBounds.runsOfArchive)',
  replace: '',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
