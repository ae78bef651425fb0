/** Writes what came after an archive was handed on, when its sender was still the owner as the body began. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: 'if (!(await store.isStillSo(tx, row, this.#state.sessionEpoch))) throw logErrors.fenced();',
  replace: '',
  test: 'apps/cloud/src/modules/takeovers/late-records.db.test.ts',
};
