/** Makes an archive of its own while the server may have given this computer another one. */
export const mutant = {
  file: 'apps/agent/src/archive/device-archive.ts',
  find: 'if (!before) new TakeoverStore(stateDir).expectNothingUnsettled();',
  replace: '',
  test: 'apps/agent/src/takeover/pending-takeover.test.ts',
};
