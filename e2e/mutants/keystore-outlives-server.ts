/** Lets the keystore run on when its server is killed. */
export const mutant = {
  file: 'apps/cloud/src/keystore/main.ts',
  find: '  await ended;',
  replace: "  await new Promise((resolve) => process.once('SIGUSR2', resolve));",
  test: 'e2e/keystore.e2e.ts',
};
