/** Sets an own key in place of escrow, and leaves escrow there. */
export const mutant = {
  file: 'apps/agent/src/keys/change-slots.ts',
  find: 'each.kind === escrowSlotKind);',
  replace: 'each.kind > 99);',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
