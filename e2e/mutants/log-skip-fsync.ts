/** Acknowledges without waiting for the disk. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'const results = await Promise.allSettled(files.map((file) => file.sync()));',
  replace: 'const results = await Promise.allSettled(files.map(async () => undefined));',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
