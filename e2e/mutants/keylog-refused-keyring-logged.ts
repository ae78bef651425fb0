/** Says in the key log that a keyring was added which is refused after that. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: '    this.#expectIntroduced(records);\n    const addedBytes',
  replace:
    '    await limits.admit(records.flatMap((record) => (isNewKeyring(record) ? [record.bytes] : [])));\n    this.#expectIntroduced(records);\n    const addedBytes',
  test: 'apps/cloud/src/modules/keylog/logged-acts.db.test.ts',
};
