/** Seals an escrow slot to no archive: its layers open for another one as well. */
export const mutant = {
  file: 'packages/trust/src/escrow-slot.ts',
  find: '...slotNameOf({ archiveId, slotId })]',
  replace: '...slotNameOf({ archiveId, slotId }).slice(1)]',
  test: 'packages/trust/src/escrow-slot.test.ts',
};
