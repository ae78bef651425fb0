/** Gives every role the keys of the role api in a token. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-pkcs11.ts',
  find: 'const forRole = (role: KmsRole) => tokenRoleKms({ session, random }, keySet, role);',
  replace: "const forRole = (_role: KmsRole) => tokenRoleKms({ session, random }, keySet, 'api');",
  test: 'apps/cloud/src/platform/kms-pkcs11.test.ts',
};
