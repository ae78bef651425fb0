/** Releases by a leaf that is not in the log. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-leaf.ts',
  find: 'if (!verifyInclusion({ ...head, leafHash, leafIndex }, inclusion))',
  replace: 'if (leafIndex < -inclusion.length)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
