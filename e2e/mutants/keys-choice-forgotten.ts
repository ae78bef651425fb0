/** Forgets what the user chose with the next recovery code. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: 'return { ...stored, keys, keyRecords, recoveryConfirmedAtMs: ports.clock.now() };',
  replace: 'return { keys, keyRecords, recoveryConfirmedAtMs: ports.clock.now() };',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
