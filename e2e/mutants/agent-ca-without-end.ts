/** Reads a CA of any length from whoever answers. */
export const mutant = {
  file: 'apps/agent/src/cloud/enroll.ts',
  find: 'textOf(reply, MAX_CA_BYTES)',
  replace: 'textOf(reply)',
  test: 'apps/agent/src/cloud/fetch-ca.system.test.ts',
};
