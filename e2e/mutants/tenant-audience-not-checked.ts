/** Accepts tokens made for another role. */
export const mutant = {
  file: 'apps/cloud/src/modules/tokens/tokens.ts',
  find: '        audience: audienceOf(verifier.installationId, role),',
  replace: '',
  test: 'apps/cloud/src/contract.db.test.ts',
};
