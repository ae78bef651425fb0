/** Judges several keyrings by the first of them. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'const newest = keyrings.at(-1);',
  replace: 'const newest = keyrings.at(0);',
  test: 'apps/cloud/src/modules/storage/escrow-demand.db.test.ts',
};
