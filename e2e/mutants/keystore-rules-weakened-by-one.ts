/** Weakens rules with fewer approvals than they ask for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-rules.ts',
  find: 'if (approvals < needed)',
  replace: 'if (approvals < 1)',
  test: 'apps/cloud/src/keystore/judge-rules.test.ts',
};
