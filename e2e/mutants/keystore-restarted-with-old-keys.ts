/** Tells a keystore the keys of its first start, however often it is started and asks. */
export const mutant = {
  file: 'apps/cloud/src/keystore-role.ts',
  find: "readAccess: () => kms.accessFor('keystore')",
  replace: "readAccess: ((first) => async () => structuredClone(await first))(kms.accessFor('keystore'))",
  test: 'apps/cloud/src/keystore/change-keys.system.test.ts',
};
