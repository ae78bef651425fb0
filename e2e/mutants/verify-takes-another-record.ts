/** Takes the first record that opens for the one that was asked for. */
export const mutant = {
  file: 'apps/agent/src/verify/other-copies.ts',
  find: 'header.ordinal === wanted ? raw : undefined',
  replace: 'header ? raw : undefined',
  test: 'apps/agent/src/verify/other-copies.system.test.ts',
};
