/** Has the keystore sign any head of the log that it is shown, followed or not. */
export const mutant = {
  file: 'apps/cloud/src/keystore/cosign-head.ts',
  find: 'if (head.treeSize > followed.size) throw',
  replace: 'if (head.treeSize > followed.size) return;\n  if (head.treeSize < 0) throw',
  test: 'apps/cloud/src/keystore/cosign-head.db.test.ts',
};
