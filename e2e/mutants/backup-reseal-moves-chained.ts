/** Leads on only the names that rows have, and leaves moves that lead to what is moved. */
export const mutant = {
  file: 'packages/archive/src/backup/reseal.ts',
  find: 'this.#moved.lead([...names, ...leadingTo(this.#sources, lay)], to);',
  replace: 'this.#moved.lead(names, to);',
  test: 'apps/agent/src/engine/reseal.system.test.ts',
};
