/** Keeps state in a folder that others can write into. */
export const mutant = {
  file: 'apps/cli/src/own-folder.ts',
  find: 'fchmodSync(fd, mode & 0o7777 & ~othersWrite)',
  replace: 'fchmodSync(fd, mode & 0o7777)',
  test: 'apps/cli/src/own-folder.test.ts',
};
