/** Says of a keyring of the old computer, after the archive was handed on, that the archive has it. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (!(await store.isStillSo(tx, row, state.sessionEpoch))) throw logErrors.fenced();',
  replace: '',
  test: 'apps/cloud/src/modules/takeovers/late-records.db.test.ts',
};
