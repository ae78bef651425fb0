/** Takes along what hangs on to a keyring: it passes by the quota and by the session. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'header.kind === kind && recordLengthOf(header) === bytes.length',
  replace: 'header.kind === kind && recordLengthOf(header) <= bytes.length',
  test: 'apps/cloud/src/modules/storage/add-keyring.db.test.ts',
};
