/** Refuses commits where a key of the user's own stands in the place of escrow. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (slots.some(isEscrow) && demandsEscrow({ slots }, escrow)) throw',
  replace: 'if (slots.some(isEscrow)) throw',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
