/** Lets two keystores run in one folder. */
export const mutant = {
  file: 'apps/cloud/src/keystore/main.ts',
  find: "await takeLock(path.join(homeDir, 'keystore.lock'))",
  replace: 'await takeLock(path.join(homeDir, `keystore.lock.${process.pid}`))',
  test: 'apps/cloud/src/keystore/keystore-process.system.test.ts',
};
