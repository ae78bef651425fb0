/** Says of no archive that it could not be tried for long. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/try-new-slots.ts',
  find: 'for (const { archiveId, keyringSha256, since } of long) {',
  replace: 'for (const { archiveId, keyringSha256, since } of long.slice(0, 0)) {',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
