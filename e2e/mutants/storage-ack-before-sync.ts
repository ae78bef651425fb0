/** The server acknowledges before the folder is on stable storage. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: 'const position = await this.folder.sync();',
  replace: 'const { position } = { position: { segments: { segment: 1, bytes: 32 } } };',
  test: 'e2e/storage-faults.e2e.ts',
};
