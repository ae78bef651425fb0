/** Removes an old key while secrets are still wrapped with it. */
export const mutant = {
  file: 'apps/cloud/src/rotate-keys.ts',
  find: '  await refuseLeft(owner, removedKeyIds);\n',
  replace: '',
  test: 'apps/cloud/src/rotate-keys.db.test.ts',
};
