/** Takes a segment for sealed whose sealing a crash cut short. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: "line?.state === 'full' ? undefined : await set.discover(segment)",
  replace: 'await set.discover(segment)',
  test: 'packages/archive/src/log/archive-folder.crash.test.ts',
};
