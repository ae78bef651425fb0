/** Takes the word of a key that has ended. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: '  if (key.endedMs !== null) throw keystoreErrors.ended_key({ publicKey });\n',
  replace: '',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
