/** Reads as many leaves as a head says there are. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (growth > MOST_GROWTH)',
  replace: 'if (growth > Number.MAX_SAFE_INTEGER)',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
