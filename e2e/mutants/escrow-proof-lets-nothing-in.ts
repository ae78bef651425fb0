/** Goes on refusing commits once a slot opens. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/standings-store.ts',
  find: 'told_at: null, refused_code: null })',
  replace: 'told_at: null })',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
