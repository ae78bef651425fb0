/** Writes what the old computer sends after its archive was taken over. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'const lease = owner === deviceId ? await leaseOf(ctx, archiveId, deviceId) : undefined;',
  replace: 'const lease = owner !== undefined ? await leaseOf(ctx, archiveId, deviceId) : undefined;',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
