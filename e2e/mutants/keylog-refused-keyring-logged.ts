/** Says in the key log that a keyring was added which is refused after that. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: '    this.#expectIntroduced(records);\n    const addedBytes = await this.#expectRoom(records, limits);\n    const keyrings = records.filter((record) => isNew(record, RecordKind.keyring)).map(({ bytes }) => bytes);',
  replace:
    '    const keyrings = records.filter((record) => isNew(record, RecordKind.keyring)).map(({ bytes }) => bytes);\n    if (keyrings.length > 0) await limits.admit({ keyrings, hasCommit: false });\n    this.#expectIntroduced(records);\n    const addedBytes = await this.#expectRoom(records, limits);',
  test: 'apps/cloud/src/modules/keylog/logged-acts.db.test.ts',
};
