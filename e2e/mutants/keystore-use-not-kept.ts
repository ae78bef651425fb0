/** Forgets that a request was granted. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release.ts',
  find: 'if (verdict.keep.use) await kept.insertUse(',
  replace: 'if (verdict.keep.use && false) await kept.insertUse(',
  test: 'apps/cloud/src/keystore/releases-kept.db.test.ts',
};
