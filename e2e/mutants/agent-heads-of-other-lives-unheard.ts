/** Hears the head of the last writer alone: what lives before it were shown is not compared. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'const note = heads.has(writer) ?',
  replace: 'const note = heads.size > 0 ?',
  test: 'apps/agent/src/keylog/heads-in-commits.system.test.ts',
};
