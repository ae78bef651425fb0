/** Shows a device the texts of leaves about others. */
export const mutant = {
  file: 'apps/cloud/src/modules/keylog/store.ts',
  find: ".where('s.subject', 'in', [...subjects])",
  replace: ".where('s.subject', '!=', subjects.join())",
  test: 'apps/cloud/src/modules/keylog/keylog.db.test.ts',
};
