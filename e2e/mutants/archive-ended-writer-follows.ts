/** Lets a keyring follow one whose writers it leaves out: an ended writer is the newest again. */
export const mutant = {
  file: 'packages/archive/src/tree/keyring-tree.ts',
  find: 'if (candidate.keyring.number !== numberOf(at) + 1 || !beginsWith(writers, at.writers)) continue;',
  replace: 'if (candidate.keyring.number !== numberOf(at) + 1) continue;',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
