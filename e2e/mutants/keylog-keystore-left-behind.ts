/** Begins to wait for the keystore anew with every leaf: a log that grows every day hides that it follows nothing. */
export const mutant = {
  file: 'apps/agent/src/keylog/keystore-following.ts',
  find: 'waitsFor: isOpen ? waited : next',
  replace: 'waitsFor: isOpen && waited.treeSize === treeSize ? waited : next',
  test: 'apps/agent/src/keylog/keystore-following.test.ts',
};
