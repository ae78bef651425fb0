/** Believes leaves that the head is not signed for. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (!equal(rootOf(appendLeaves(known, hashes).state), root))',
  replace: 'if (root.length === 0)',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
