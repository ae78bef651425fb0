/** Lets an org change what one above it has locked. */
export const mutant = {
  file: 'apps/cloud/src/modules/policies/resolve-policy.ts',
  find: 'if (locked.has(field) || own.settings[field] === undefined) continue;',
  replace: 'if (own.settings[field] === undefined) continue;',
  test: 'apps/cloud/src/modules/policies/resolve-policy.test.ts',
};
