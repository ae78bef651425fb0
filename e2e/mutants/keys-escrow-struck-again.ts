/** Strikes escrow as often as the server asks for it. */
export const mutant = {
  file: 'apps/agent/src/keys/change-keys.ts',
  find: 'if (change?.added.length === 0) escrow.noteStruck();',
  replace: '',
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
