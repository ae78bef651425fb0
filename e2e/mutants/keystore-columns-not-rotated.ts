/** Leaves the keystore's own table out of a change of keys. */
export const mutant = {
  file: 'apps/cloud/src/rotate-keys.ts',
  find: '  for (const of of wrappedColumns) {\n    for (const row',
  replace:
    "  for (const of of wrappedColumns.filter(({ table }) => table !== 'keystore.tenant_keys')) {\n    for (const row",
  test: 'apps/cloud/src/rotate-keys.db.test.ts',
};
