/** Judges by what was first said of a key, not by the last. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release-store.ts',
  find: ".orderBy('k.log_index', 'desc')",
  replace: ".orderBy('k.log_index', 'asc')",
  test: 'apps/cloud/src/keystore/releases.db.test.ts',
};
