/** Gives an archive escrow again, though its user chose a key of their own. */
export const mutant = {
  file: 'apps/agent/src/keys/escrow-policy.ts',
  find: 'if (stored.choice) return',
  replace: "if (stored.choice === undefined && setting === 'off') return",
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
