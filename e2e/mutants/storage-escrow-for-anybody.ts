/** Takes escrow for whatever keys as that of the tenant. */
export const mutant = {
  file: 'apps/cloud/src/modules/policies/escrow-demand.ts',
  find: 'says?.outerKeyId.toHex() === outerKeyId && says.innerKeyId.toHex() === innerKeyId',
  replace: 'says !== undefined && outerKeyId !== innerKeyId',
  test: 'apps/cloud/src/modules/storage/escrow-demand.db.test.ts',
};
