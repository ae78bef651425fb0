/** Syncs again on the same descriptor after a sync failed, and believes the second answer. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'files.map((file) => file.sync())',
  replace: 'files.map((file) => file.sync().catch(() => file.sync()))',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
