/** Does not see that its log is shorter than what a device verified. */
export const mutant = {
  file: 'apps/cloud/src/modules/keylog/compare-head.ts',
  find: "if (head.treeSize > size) return 'longer';",
  replace: "if (head.treeSize > size) return 'same_log';",
  test: 'apps/cloud/src/modules/keylog/heard-heads.db.test.ts',
};
