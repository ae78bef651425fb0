/** Strikes a slot, and goes on with the key that it opens. */
export const mutant = {
  file: 'apps/agent/src/keys/change-slots.ts',
  find: 'beginsEpoch: beginsEpoch || others.length < slots.length,',
  replace: 'beginsEpoch: false,',
  test: 'apps/agent/src/keys/change-slots.test.ts',
};
