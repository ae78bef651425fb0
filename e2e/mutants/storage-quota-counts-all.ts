/** Counts what the newest live set lets go against the quota. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: 'return this.#storedBytes - (this.#letGo?.bytes ?? 0);',
  replace: 'return this.#storedBytes;',
  test: 'apps/cloud/src/modules/storage/quota.db.test.ts',
};
