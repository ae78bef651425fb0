/** Shows users of orgs the caller does not reach. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/store.ts',
  find: '.where(sql<boolean>`o.path && ${[...filter.reach]}::uuid[]`);',
  replace: ';',
  test: 'apps/cloud/src/modules/identity/identity.db.test.ts',
};
