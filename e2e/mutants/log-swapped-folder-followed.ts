/** Opens the folders of an archive by their paths, whatever stands there by then. */
export const mutant = {
  file: 'packages/archive/src/log/local-destination.ts',
  find: 'const disk = options.disk.below?.(dir, reach) ?? options.disk;',
  replace: 'const { disk } = options;',
  test: 'packages/archive/src/log/confined-disk.system.test.ts',
};
