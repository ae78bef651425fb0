/** Keeps an escrow slot that the server found not to open. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: "if (!isBroken) return 'in_place';",
  replace: "if (!isBroken || areKeysLogged) return 'in_place';",
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
