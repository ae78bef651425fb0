/** Goes on with bytes behind the acknowledged position as the page cache shows them, instead of writing them anew. */
export const mutant = {
  file: 'packages/archive/src/log/recover-segment.ts',
  find: 'if (isClean && acknowledged === keptBytes) {',
  replace: 'if (isClean || survey.lastEnd === survey.fileBytes) {',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
