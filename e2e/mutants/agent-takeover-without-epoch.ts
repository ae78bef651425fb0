/** Goes on with the keys that the old computer has. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: '...successor, beginsEpoch: true',
  replace: '...successor, beginsEpoch: false',
  test: 'e2e/takeover.e2e.ts',
};
