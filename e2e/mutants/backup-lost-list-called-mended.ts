/** Counts what a list that is lost may name as stored again, and forgets its records. */
export const mutant = {
  file: 'packages/archive/src/backup/store-again.ts',
  find: 'this.#unread ??= copyOf(key);',
  replace: '',
  test: 'apps/agent/src/engine/store-again.system.test.ts',
};
