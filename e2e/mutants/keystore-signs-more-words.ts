/** Has the keystore sign a head with whatever the api writes below it. */
export const mutant = {
  file: 'apps/cloud/src/keystore/cosign-head.ts',
  find: '\\n\\n`;',
  replace: '\\n`;',
  test: 'apps/cloud/src/keystore/cosign-head.db.test.ts',
};
