/** Lets the leaf name another purpose than the request has. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: 'if (leaf.purpose !== purpose)',
  replace: 'if (leaf.purpose === null)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
