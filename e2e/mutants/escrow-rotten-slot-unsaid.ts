/** Notes a slot that does not open, and tells nobody. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-slots.ts',
  find: "if (outcome === 'opens') continue;",
  replace: 'continue;',
  test: 'apps/cloud/src/modules/escrow/try-slots.db.test.ts',
};
