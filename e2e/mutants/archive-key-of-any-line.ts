/** Believes a commit that opens with a key which only another line of keyrings has. */
export const mutant = {
  file: 'packages/archive/src/tree/spoken-for.ts',
  find: 'if (!own || naming?.epoch !== node.candidate.epoch || !equalBytes(own, naming.key)) continue;',
  replace: 'if (!node) continue;',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
