/** Shows a device the text that a row beside the tree says is for it. */
export const mutant = {
  file: 'apps/cloud/src/modules/keylog/read-key-log.ts',
  find: 'found !== undefined && isAbout(outline, subjects) ?',
  replace: 'found !== undefined ?',
  test: 'apps/cloud/src/modules/keylog/keylog.db.test.ts',
};
