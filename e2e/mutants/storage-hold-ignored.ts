/** Lets the quota stop an archive that is under legal hold. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (await isHeld(tx, row.tenant_id, row.archive_id)) return null;',
  replace: '',
  test: 'apps/cloud/src/modules/holds/holds.db.test.ts',
};
