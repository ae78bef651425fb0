/** Gives keys of epochs that were not asked for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: 'const epochs = askedFor(grant, ring.epochs);',
  replace: "const epochs = askedFor({ ...grant, epochs: 'all' }, ring.epochs);",
  test: 'apps/cloud/src/keystore/open-release.test.ts',
};
