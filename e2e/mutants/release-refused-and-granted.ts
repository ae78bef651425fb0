/** Opens what a person has refused. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/grant-release.ts',
  find: `const isSettled = outcomes.some(({ outcome }) => outcome !== 'logged');
  return`,
  replace: `const isSettled = outcomes.some(({ outcome }) => outcome === 'granted');
  return`,
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
