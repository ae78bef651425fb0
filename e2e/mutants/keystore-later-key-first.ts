/** Believes a key at once that comes in a later piece of the log. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release-store.ts',
  find: ".orderBy('f.log_index')\n            .limit(1),",
  replace: ".orderBy('f.log_index')\n            .limit(0),",
  test: 'apps/cloud/src/keystore/releases.db.test.ts',
};
