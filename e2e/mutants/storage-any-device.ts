/** A device reaches every archive of its tenant. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (lease?.archive.row.device_id === deviceId) return lease;',
  replace: "if (lease && deviceId !== '') return lease;",
  test: 'e2e/device-access.e2e.ts',
};
