/** Spends all the time of a call on one answer that does not come, and asks no second time. */
export const mutant = {
  file: 'apps/cloud/src/platform/aws-calls.ts',
  find: 'requestTimeout: REQUEST_MS, throwOnRequestTimeout: true',
  replace: 'requestTimeout: 0',
  test: 'apps/cloud/src/platform/kms-aws.test.ts',
};
