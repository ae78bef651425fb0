/** Sets an own key in place of escrow, and leaves escrow there. */
export const mutant = {
  file: 'apps/agent/src/keys/change-slots.ts',
  find: '(kind === escrowSlotKind && !own.keepsEscrow)',
  replace: '(kind === escrowSlotKind && own.keepsEscrow)',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
