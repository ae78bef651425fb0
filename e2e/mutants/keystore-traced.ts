/** Goes on with the keys while a debugger traces the keystore. */
export const mutant = {
  file: 'apps/cloud/src/keystore/native-calls.ts',
  find: 'if (tracer !== 0) throw',
  replace: 'if (tracer < 0) throw',
  test: 'apps/cloud/src/keystore/close-memory.system.test.ts',
};
