/** Judges two releases at once by what neither of them has kept yet. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release-store.ts',
  find: "pg_advisory_xact_lock(hashtextextended('keystore ' || ${tenantId}, 0))",
  replace: "hashtextextended('keystore ' || ${tenantId}, 0)",
  test: 'apps/cloud/src/keystore/releases-kept.db.test.ts',
};
