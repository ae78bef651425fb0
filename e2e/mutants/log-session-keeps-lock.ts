/** Keeps the lock of a folder whose session could not be opened. */
export const mutant = {
  file: 'apps/agent/src/destinations/folder-place.ts',
  find: '      await local.close().catch(() => undefined);\n',
  replace: '',
  test: 'apps/agent/src/destinations/folder-place.system.test.ts',
};
