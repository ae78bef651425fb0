/** Counts what several transactions of one holder ask for without waiting for one another: each sees the last of a day free. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/callers.ts',
  find: '  await store.lockHolder(tx, tenantId, uid);\n',
  replace: '',
  test: 'apps/cloud/src/modules/releases/limits.db.test.ts',
};
