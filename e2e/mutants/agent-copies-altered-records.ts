/** Copies from one destination to another whatever comes under the right numbers. */
export const mutant = {
  file: 'apps/agent/src/destinations/catch-up.ts',
  find: 'isExpected(kind, ordinal) && this.#work.isGenuine(record)',
  replace: 'isExpected(kind, ordinal)',
  test: 'apps/agent/src/destinations/catch-up.test.ts',
};
