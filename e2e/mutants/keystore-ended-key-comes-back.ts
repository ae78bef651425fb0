/** Registers a key again that has ended. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'if (known.endedMs !== null && !isEnd)',
  replace: 'if (known.endedMs === 0 && !isEnd)',
  test: 'apps/cloud/src/keystore/key-register.test.ts',
};
