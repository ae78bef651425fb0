/** Leads on the names that rows have and where it lay, and leaves moves that lead to what is moved. */
export const mutant = {
  file: 'packages/archive/src/backup/reseal.ts',
  find: 'this.#moved.lead([...names, place, ...leadingTo(this.#sources, lay)], to);',
  replace: 'this.#moved.lead([...names, place], to);',
  test: 'apps/agent/src/engine/reseal.system.test.ts',
};
