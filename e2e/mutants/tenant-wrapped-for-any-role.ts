/** Opens a secret wrapped for another role. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms.ts',
  find: "if (format !== 'hfw1' || forRole !== role) throw",
  replace: "if (format !== 'hfw1' || forRole === '') throw",
  test: 'apps/cloud/src/platform/kms.test.ts',
};
