/** Lets a keyring follow another whose keys its ring does not have. */
export const mutant = {
  file: 'packages/archive/src/tree/keyring-tree.ts',
  find: 'return !ring || !at.ring || at.ring.every((epoch) => isAmong(ring, epoch));',
  replace: 'return true;',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
