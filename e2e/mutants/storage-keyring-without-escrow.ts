/** Takes a keyring without the escrow that the org asks for. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (lacksEscrow(keyring, escrow, keyIds)) throw storageErrors.keyring_lacks_escrow({ escrow });',
  replace: 'lacksEscrow(keyring, escrow, keyIds);',
  test: 'apps/cloud/src/modules/storage/escrow-demand.db.test.ts',
};
