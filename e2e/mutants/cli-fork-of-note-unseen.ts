/** Does not compare a signed head with the leaves of a head file. */
export const mutant = {
  file: 'apps/cli/src/commands/check-heads.ts',
  find: 'if (Buffer.compare(rootAt(opened.leaves, head.treeSize), head.root) !== 0)',
  replace: 'if (head.treeSize < 0)',
  test: 'apps/cli/src/commands/check-heads.test.ts',
};
