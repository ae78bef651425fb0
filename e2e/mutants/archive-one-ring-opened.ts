/** Opens records with the keys of the ring that opened first alone. */
export const mutant = {
  file: 'packages/archive/src/tree/open-ring.ts',
  find: `for (const candidate of candidates) await attempt.opens(candidate, 'none');`,
  replace: '',
  test: 'packages/archive/src/tree/forged-lives.test.ts',
};
