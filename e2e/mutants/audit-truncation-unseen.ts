/** Takes a log for whole that is shorter than its head. */
export const mutant = {
  file: 'apps/cloud/src/modules/audit/verify-audit.ts',
  find: "problems.push({ kind: 'truncated', found: tree.size, treeSize });",
  replace: 'void treeSize;',
  test: 'apps/cloud/src/modules/audit/verify-audit.test.ts',
};
