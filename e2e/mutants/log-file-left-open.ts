/** Leaves the files of segments open where opening a folder fails: collected later, they end the process. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: '      await writer.close();\n',
  replace: '',
  test: 'packages/archive/src/log/bad-folder.system.test.ts',
};
