/** Acknowledges records that no other process can find yet. */
export const mutant = {
  file: 'packages/archive/src/log/archive-folder.ts',
  find: 'await this.#parts.index.put(taken);',
  replace: 'void taken;',
  test: 'packages/archive/src/log/archive-folder.system.test.ts',
};
