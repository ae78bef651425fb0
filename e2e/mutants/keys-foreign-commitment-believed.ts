/** Takes a slot of a stolen key for ours by its number alone. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: 'bytes: [slotId, commitment, parameters].map(hexOf),',
  replace: 'bytes: [slotId, parameters].map(hexOf),',
  test: 'apps/agent/src/keys/foreign-slots.test.ts',
};
