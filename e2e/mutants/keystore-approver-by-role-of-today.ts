/** Lets somebody with an old key approve who may approve since today. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'const newSinceMs = keys.length === 0 ? nowMs - KEY_WAIT_MS : nowMs;',
  replace: 'const newSinceMs = keys.length === 0 ? nowMs - KEY_WAIT_MS : key.firstSeenMs;',
  test: 'apps/cloud/src/keystore/key-register.test.ts',
};
