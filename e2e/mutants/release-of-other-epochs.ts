/** The recipient takes other keys than it asked for. */
export const mutant = {
  file: 'packages/trust/src/release.ts',
  find: 'if (keys !== undefined && isAskedFor(keys, request))',
  replace: 'if (keys !== undefined && request.scope)',
  test: 'packages/trust/src/release.test.ts',
};
