/** Gives a new destination what was closed, too. */
export const mutant = {
  file: 'apps/agent/src/destinations/catch-up.ts',
  find: 'work.isClosed?.(ordinal, kind) === true',
  replace: 'false',
  test: 'apps/agent/src/keys/reseal-past.system.test.ts',
};
