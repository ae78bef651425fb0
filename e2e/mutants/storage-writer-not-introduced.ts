/** Whoever holds the device's token may bring in a writer. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: 'this.#expectIntroduced(records);',
  replace: '',
  test: 'e2e/storage-sessions.e2e.ts',
};
