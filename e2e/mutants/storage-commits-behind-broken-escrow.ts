/** Takes commits behind an escrow slot that does not open. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (slots.some(isEscrow) && demandsEscrow({ slots }, escrow)) throw storageErrors.escrow_broken({ cause });',
  replace: 'void cause;',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
