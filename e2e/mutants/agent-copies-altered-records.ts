/** Copies from one destination to another whatever comes under the right numbers. */
export const mutant = {
  file: 'apps/agent/src/destinations/catch-up.ts',
  find: 'wanted.has(ordinal) && this.#work.isGenuine(record)',
  replace: 'wanted.has(ordinal)',
  test: 'apps/agent/src/destinations/catch-up.test.ts',
};
