/** Seals a segment after a sync of it failed, over bytes that never reached the disk. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'if (this.#broken) throw this.#broken.cause;',
  replace: '',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
