/** Takes an ordinal a second time, whatever its bytes. */
export const mutant = {
  file: 'packages/archive/src/log/archive-folder.ts',
  find: 'if (!place) continue;',
  replace: 'if (!place || place.offset > 0) continue;',
  test: 'packages/archive/src/log/archive-folder.system.test.ts',
};
