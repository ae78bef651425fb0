/** Lets the requests of one tenant take all of what the keystore does at once. */
export const mutant = {
  file: 'apps/cloud/src/keystore/serve.ts',
  find: 'inTurn(parsed.data.tenantUid, () => work(context, parsed.data))',
  replace: 'work(context, parsed.data)',
  test: 'apps/cloud/src/keystore/serve.db.test.ts',
};
