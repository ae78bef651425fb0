/** Makes a segment without bringing its name to the disk. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'await disk.syncDirectory(set.directory);\n        return (await disk.stat(path))?.identity;',
  replace: 'return (await disk.stat(path))?.identity;',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
