/** Goes on behind a keyring of an older epoch, behind which nothing counts. */
export const mutant = {
  file: 'apps/agent/src/keys/archive-keyring.ts',
  find: 'header.epoch !== taken',
  replace: 'header.epoch > taken',
  test: 'apps/agent/src/keys/foreign-slots.test.ts',
};
