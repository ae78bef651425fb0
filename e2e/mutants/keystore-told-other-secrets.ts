/** Tells the keystore what else the address of the database says. */
export const mutant = {
  file: 'apps/cloud/src/platform/database-url.ts',
  find: 'if (!readNames.includes(name))',
  replace: "if (['user', 'password'].includes(name))",
  test: 'apps/cloud/src/platform/database-url.test.ts',
};
