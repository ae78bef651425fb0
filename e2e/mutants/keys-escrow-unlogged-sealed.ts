/** Seals escrow to keys that were not seen in the key log. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: "if (!facts.areKeysLogged) return 'not_logged';",
  replace: '',
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
