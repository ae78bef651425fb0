/** Does not see that the first of two announced keyrings has arrived. */
export const mutant = {
  file: 'apps/agent/src/destinations/read-keyrings.ts',
  find: 'count > archive.stored.keyRecords.length; count--',
  replace: 'count === keyRecords.length; count--',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
