/** Says that a log was set back which another node has signed further. */
export const mutant = {
  file: 'apps/cloud/src/modules/witnesses/witness-head.ts',
  find: 'if (witnessSize > head.treeSize) ({ head } = await readState(database, of));',
  replace: '',
  test: 'apps/cloud/src/modules/witnesses/witnessing.db.test.ts',
};
