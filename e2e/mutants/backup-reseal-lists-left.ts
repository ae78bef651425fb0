/** Leaves the lists of long files as they were sealed. */
export const mutant = {
  file: 'packages/archive/src/backup/reseal.ts',
  find: 'if (this.#isOld(lies.ordinal)) await this.#moveList(',
  replace: 'if (lies.ordinal < 0) await this.#moveList(',
  test: 'apps/agent/src/engine/reseal.system.test.ts',
};
