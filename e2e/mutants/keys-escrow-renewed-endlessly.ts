/** Makes escrow anew as often as a server says that it does not open. */
export const mutant = {
  file: 'apps/agent/src/keys/change-keys.ts',
  find: "if (judgeEscrow(stored, escrow) === 'to_renew') escrow.noteRenewed();",
  replace: '',
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
