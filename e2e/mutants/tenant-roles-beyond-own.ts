/** Lets people give roles that hold more than they do. */
export const mutant = {
  file: 'apps/cloud/src/modules/identity/grants.ts',
  find: 'return needed.length > 0 && needed.every(',
  replace: 'return needed.length > 0 && needed.some(',
  test: 'apps/cloud/src/modules/identity/roles.test.ts',
};
