/** Seals escrow to keys that were not seen in the key log. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: "if (!areKeysLogged) return 'not_logged';\n  if (escrow.length === 0) return 'to_add';",
  replace: "if (escrow.length === 0) return 'to_add';",
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
