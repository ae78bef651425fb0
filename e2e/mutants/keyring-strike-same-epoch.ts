/** Strikes a recovery code and goes on with the key that it opens. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: 'beginsEpoch: others.length < slots.length ||',
  replace: 'beginsEpoch: others.length > slots.length ||',
  test: 'apps/agent/src/keys/old-rings.test.ts',
};
