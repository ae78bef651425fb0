/** Keeps as much text as a server calls its own. */
export const mutant = {
  file: 'apps/agent/src/keylog/read-leaves.ts',
  find: 'if (text > mostText)',
  replace: 'if (text > Infinity)',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
