/** Begins an epoch for escrow, and so ends a recovery code that another life of the computer made. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: 'return [...strangeKinds(stored)].some((kind) => !isEscrow({ kind }));',
  replace: 'return strangeKinds(stored).size > 99;',
  test: 'apps/agent/src/keys/foreign-slots.test.ts',
};
