/** Lets one tenant take all memory for bodies. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/receive-body.ts',
  find: 'const TENANT_SHARE = 3 / 4;',
  replace: 'const TENANT_SHARE = 1;',
  test: 'apps/cloud/src/modules/storage/receive-body.test.ts',
};
