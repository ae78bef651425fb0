/** Wraps with a key of a token that somebody else has a copy of. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-pkcs11.ts',
  find: '        await refuseWeakKey(calls, key);\n',
  replace: '',
  test: 'apps/cloud/src/platform/kms-pkcs11.test.ts',
};
