/** Goes on with credentials that ran out. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-aws.ts',
  find: 'if (!isFirst) await newest();',
  replace: 'if (isFirst) isFirst = true;',
  test: 'apps/cloud/src/platform/kms-aws.test.ts',
};
