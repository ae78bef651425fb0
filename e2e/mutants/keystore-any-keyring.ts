/** Opens another keyring than the one that was asked for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: "digest('hex') !== keyringSha256)",
  replace: "digest('hex') === '')",
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
