/** Opens the wrap of a password slot without looking at its commitment: a forged slot tells passwords apart. */
export const mutant = {
  file: 'packages/trust/src/slots.ts',
  find: 'if (!isCommitted(slot, place, slotKey)) return undefined;',
  replace: 'if (slot.kind !== 3 && !isCommitted(slot, place, slotKey)) return undefined;',
  test: 'packages/trust/src/password-slot.test.ts',
};
