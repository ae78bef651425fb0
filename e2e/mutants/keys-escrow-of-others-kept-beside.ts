/** Leaves escrow for other keys than those of the organisation in the archive. */
export const mutant = {
  file: 'apps/agent/src/keys/change-slots.ts',
  find: 'const isStruck = (slot: KeyringSlot) => chosenKinds.has(slot.kind) || escrow?.isStruck(slot) === true;',
  replace: 'const isStruck = (slot: KeyringSlot) => chosenKinds.has(slot.kind);',
  test: 'apps/agent/src/control/own-key.system.test.ts',
};
