/** Takes in whatever a destination lists as keyrings, however much it is. */
export const mutant = {
  file: 'apps/agent/src/destinations/read-keyrings.ts',
  find: 'if (++listed > mostKeyrings) return new Map();',
  replace: 'listed++;',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
