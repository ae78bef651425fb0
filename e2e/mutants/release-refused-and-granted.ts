/** Opens what a person has refused. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/grant-release.ts',
  find: `const isSettled = outcomes.some(({ outcome }) => outcome !== 'logged');
  if (isSettled ||`,
  replace: `const isSettled = outcomes.some(({ outcome }) => outcome === 'granted');
  if (isSettled ||`,
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
