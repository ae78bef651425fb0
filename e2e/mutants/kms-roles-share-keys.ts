/** Gives every role the keys of the role api. */
export const mutant = {
  file: 'apps/cloud/src/platform/kms-file.ts',
  find: 'roleKms(sourceFor(followed, role), role, random)',
  replace: "roleKms(sourceFor(followed, role), 'api', random)",
  test: 'apps/cloud/src/platform/kms-file.test.ts',
};
