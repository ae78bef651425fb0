/** Strikes escrow that nobody asks for any more, though nothing else opens the archive. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: 'carriedSlots(stored).every(isEscrow)',
  replace: 'carriedSlots(stored).length === 0',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
