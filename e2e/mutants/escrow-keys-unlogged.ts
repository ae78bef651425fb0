/** Sets the escrow keys of a tenant without a leaf that says so. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/escrow-keys.ts',
  find: "await appendKeyLogLeaf(tx, { tenantId, at }, { kind: 'escrow_keys_set', number, sha256 });",
  replace: 'void [appendKeyLogLeaf, sha256];',
  test: 'apps/cloud/src/modules/escrow/escrow.db.test.ts',
};
