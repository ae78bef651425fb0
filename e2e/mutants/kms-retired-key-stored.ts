/** Stores a secret that was wrapped with a key that is about to be removed. */
export const mutant = {
  file: 'apps/cloud/src/rotate-keys.ts',
  find: '  await retireKeys(owner, removedKeyIds, new Date(clock.now()));\n',
  replace: '',
  test: 'apps/cloud/src/rotate-keys.db.test.ts',
};
