/** Works passwords out for sixteen slots of the greatest cost, one after the other. */
export const mutant = {
  file: 'packages/trust/src/password-slot.ts',
  find: 'known.size >= mostDerivations || spent > mostKibibytePasses',
  replace: 'known.size >= mostDerivations',
  test: 'packages/trust/src/password-slot.test.ts',
};
