/** Calls a destination ready though no source gave it a node of the tree that they list. */
export const mutant = {
  file: 'apps/agent/src/destinations/catch-up.ts',
  find: 'if (withheld.length > 0) await onWithheld(withheld);',
  replace: 'if (withheld.length < 0) await onWithheld(withheld);',
  test: 'apps/agent/src/destinations/catch-up.test.ts',
};
