/** Works passwords out for sixteen slots of the greatest cost, one after the other. */
export const mutant = {
  file: 'packages/trust/src/password-slot.ts',
  find: 'known.size >= mostTries || spent > mostCost',
  replace: 'known.size >= mostTries',
  test: 'packages/trust/src/password-slot.test.ts',
};
