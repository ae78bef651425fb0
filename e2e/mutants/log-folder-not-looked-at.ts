/** Acknowledges into a folder that is no longer where it was. */
export const mutant = {
  file: 'packages/archive/src/log/segment-writer.ts',
  find: 'if (!isThere) throw logErrors.moved({ segment: open.segment });',
  replace: '',
  test: 'packages/archive/src/log/local-destination.system.test.ts',
};
