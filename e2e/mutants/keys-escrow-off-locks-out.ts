/** Strikes escrow that nobody asks for any more, though nothing else opens the archive. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: 'carriedSlots(stored).some(({ kind }) => kind !== escrowSlotKind)',
  replace: 'carriedSlots(stored).length > 0',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
