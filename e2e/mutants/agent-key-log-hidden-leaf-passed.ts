/** Passes over a leaf about its own archive that it is not shown. */
export const mutant = {
  file: 'apps/agent/src/keylog/read-leaves.ts',
  find: 'fault ??= page.fault;',
  replace: '',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
