/** Takes a change of the rules in again that was taken in before. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-rules.ts',
  find: 'if (number !== expected)',
  replace: 'if (number > expected)',
  test: 'apps/cloud/src/keystore/judge-rules.test.ts',
};
