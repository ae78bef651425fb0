/** Refuses commits for an escrow slot that the newest keyring has no more. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (slots.some(isEscrow) && demandsEscrow({ slots }, escrow)) throw',
  replace: 'if (demandsEscrow({ slots }, escrow)) throw',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
