/** Takes an approval of whoever has a key. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/approve-release.ts',
  find: 'if (refusedBy !== undefined) {',
  replace: `if (refusedBy === '') {`,
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
