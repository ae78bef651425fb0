/** Records no refused act. */
export const mutant = {
  file: 'apps/cloud/src/platform/mount.ts',
  find: 'if (isRefusal(error)) await record(',
  replace: "if (isRefusal(error) && route.path === '') await record(",
  test: 'apps/cloud/src/modules/audit/audit.db.test.ts',
};
