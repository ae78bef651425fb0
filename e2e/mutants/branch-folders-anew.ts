/** Makes a folder that is no more anew with each commit of taking in: what was taken into it before is not in it. */
export const mutant = {
  file: 'packages/archive/src/backup/taken-places.ts',
  find: 'last.since > this.#since;',
  replace: 'last.since > this.#since + 2 ** 40;',
  test: 'apps/agent/src/branches/branches.crash.test.ts',
};
