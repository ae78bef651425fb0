/** Leads on only the names that rows have, and leaves moves that lead to what is moved. */
export const mutant = {
  file: 'packages/archive/src/backup/store-again.ts',
  find: ', ...places.flatMap((place) => leadingTo(this.#sources, place))',
  replace: '',
  test: 'apps/agent/src/engine/store-again.system.test.ts',
};
