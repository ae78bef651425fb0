/** Records no refused act. */
export const mutant = {
  file: 'apps/cloud/src/platform/mount.ts',
  find: 'if (isRefusal) {',
  replace: "if (isRefusal && route.path === '') {",
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
