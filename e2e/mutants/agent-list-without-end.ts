/** Takes a list of ordinals from a server for as long as it goes on. */
export const mutant = {
  file: 'apps/agent/src/cloud/cloud-destination.ts',
  find: 'if (left-- <= 0) throw',
  replace: 'if (left-- === Number.NEGATIVE_INFINITY) throw',
  test: 'apps/agent/src/cloud/cloud-destination.test.ts',
};
