/** Takes in keyrings without end that anybody can sign. */
export const mutant = {
  file: 'packages/archive/src/tree/gather-keyrings.ts',
  find: 'if (room[of]-- > 0) taken',
  replace: 'if (room[of]-- > -1_000_000) taken',
  test: 'packages/archive/src/tree/gather-keyrings.test.ts',
};
