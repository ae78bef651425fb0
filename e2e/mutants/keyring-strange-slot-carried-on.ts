/** Carries a slot of a kind that is not known on into the next keyring, wrapped as if it were a known one. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: 'if (!rewrappedKinds.has(slot.kind)) return [];',
  replace: '',
  test: 'apps/agent/src/keys/old-rings.test.ts',
};
