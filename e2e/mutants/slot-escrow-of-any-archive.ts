/** Seals an escrow slot to no archive: its layers open for another one as well. */
export const mutant = {
  file: 'packages/trust/src/escrow-slot.ts',
  find: 'encode(labels[layer]), archiveId, slotId]',
  replace: 'encode(labels[layer]), slotId]',
  test: 'packages/trust/src/escrow-slot.test.ts',
};
