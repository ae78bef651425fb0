/** Believes leaves that are not those signed for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/follow-log.ts',
  find: 'const isSame = state.size === head.treeSize && Buffer.compare(rootOf(state), head.root) === 0;',
  replace: 'const isSame = state.size === head.treeSize;',
  test: 'apps/cloud/src/keystore/follow-log.test.ts',
};
