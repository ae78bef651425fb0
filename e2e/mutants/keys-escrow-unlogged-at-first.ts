/** Begins an archive with escrow for keys that were not seen in the key log. */
export const mutant = {
  file: 'apps/agent/src/archive/device-archive.ts',
  find: 'escrow?.areKeysLogged === true && ',
  replace: '',
  test: 'apps/agent/src/keys/escrow-policy.test.ts',
};
