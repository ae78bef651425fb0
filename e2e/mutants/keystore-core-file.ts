/** Lets the system write the memory of the keystore to a core file. */
export const mutant = {
  file: 'apps/cloud/src/keystore/native-calls.ts',
  find: 'if (libc().setrlimit(LIMIT_CORE, none) !== 0)',
  replace: 'if (none.length === 0)',
  test: 'apps/cloud/src/keystore/close-memory.system.test.ts',
};
