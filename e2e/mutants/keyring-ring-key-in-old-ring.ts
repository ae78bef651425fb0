/** Seals a ring under a key that every older ring of the archive holds: who opens one of them opens all that follow. */
export const mutant = {
  file: 'packages/archive/src/keyring/archive-keys.ts',
  find: 'const ringKey = random(32);',
  replace: 'const ringKey = before.ring.epochs[0]!.key;',
  test: 'apps/agent/src/keys/old-rings.test.ts',
};
