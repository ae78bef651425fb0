/** Opens a debugger in the keystore when somebody sends it a signal. */
export const mutant = {
  file: 'apps/cloud/src/keystore/supervise.ts',
  find: "'--disable-sigusr1', ",
  replace: '',
  test: 'apps/cloud/src/keystore/keystore-process.system.test.ts',
};
