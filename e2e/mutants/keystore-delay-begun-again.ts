/** Begins the delay of a leaf anew whenever it is asked. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release.ts',
  find: "if (verdict.status === 'waiting') await kept.insertWaiting(",
  replace: "if (verdict.status === 'waiting' && false) await kept.insertWaiting(",
  test: 'apps/cloud/src/keystore/releases.db.test.ts',
};
