/** Leaves the memory of the keystore open to other processes of its user. */
export const mutant = {
  file: 'apps/cloud/src/keystore/native-calls.ts',
  find: 'if (libc().syscall(prctl, SET_DUMPABLE, 0, 0, 0, 0) !== 0)',
  replace: 'if (libc().syscall(prctl, SET_DUMPABLE, 1, 0, 0, 0) !== 0)',
  test: 'apps/cloud/src/keystore/close-memory.system.test.ts',
};
