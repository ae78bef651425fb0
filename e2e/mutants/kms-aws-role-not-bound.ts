/** Leaves the role out of the encryption context: policies cannot tell roles apart. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-aws.ts',
  find: "    'holdfast-role': role,\n",
  replace: '',
  test: 'apps/cloud/src/platform/kms-aws.test.ts',
};
