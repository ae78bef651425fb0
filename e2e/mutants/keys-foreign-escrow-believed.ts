/** Takes an escrow slot that somebody else put there for escrow of the organisation. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: ' && carriedSlots(stored).some(isEscrow);',
  replace: ';',
  test: 'apps/agent/src/keys/foreign-slots.test.ts',
};
