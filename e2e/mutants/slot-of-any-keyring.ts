/** Seals a ring key to its slot in whatever keyring: the wrap of one keyring can be put into another. */
export const mutant = {
  file: 'packages/trust/src/slots.ts',
  find: 'archiveId, number, slotId);',
  replace: 'archiveId, slotId);',
  test: 'packages/trust/src/slots.test.ts',
};
