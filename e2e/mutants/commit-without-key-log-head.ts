/** Writes commits that do not say which key log their writer saw. */
export const mutant = {
  file: 'packages/archive/src/backup/commit-writer.ts',
  find: 'const keyLogHead = this.#keyLogHead?.();',
  replace: 'const keyLogHead = undefined;',
  test: 'e2e/key-log.e2e.ts',
};
