/** A part of the server that does not end keeps those after it, the database, from being ended. */
export const mutant = {
  file: 'apps/cloud/src/platform/teardown.ts',
  find: 'const outcome = await Promise.race([ending, late]);',
  replace: 'const outcome = await Promise.race([ending, late.then(() => ending)]);',
  test: 'apps/cloud/src/platform/teardown.test.ts',
};
