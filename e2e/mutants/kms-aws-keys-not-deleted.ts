/** Forgets removed keys here, and leaves them in force in the service. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-aws.ts',
  find: 'if (isGone(arn)) await deleteKey(opened, arn);',
  replace: 'if (isGone(arn)) continue;',
  test: 'apps/cloud/src/platform/kms-aws.test.ts',
};
