/** Takes any key in the log for its own. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (foreign) throw',
  replace: 'if (foreign && device.publicKey === "") throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
