/** Answers whichever user reaches the socket of the keystore. */
export const mutant = {
  file: 'apps/cloud/src/keystore/serve.ts',
  find: 'uid === process.geteuid?.()',
  replace: 'uid !== undefined',
  test: 'apps/cloud/src/keystore/serve.db.test.ts',
};
