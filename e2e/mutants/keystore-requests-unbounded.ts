/** Works on as many requests at once as come. */
export const mutant = {
  file: 'apps/cloud/src/keystore/serve.ts',
  find: 'busy.requests > MAX_REQUESTS',
  replace: 'busy.requests > Infinity',
  test: 'apps/cloud/src/keystore/serve.db.test.ts',
};
