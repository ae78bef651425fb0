/** Makes a segment without bringing its name to the disk. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'await this.#guarded(() => disk.syncDirectory(set.directory));\n    this.#lastSegment = segment;',
  replace: 'this.#lastSegment = segment;',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
