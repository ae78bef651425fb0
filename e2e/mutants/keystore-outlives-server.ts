/** Lets the keystore run on when its server is killed. */
export const mutant = {
  file: 'apps/cloud/src/keystore/main.ts',
  find: "process.stdin.once('end', resolve).once('error', resolve).resume()",
  replace: "process.once('SIGUSR2', resolve)",
  test: 'e2e/keystore.e2e.ts',
};
