/** The small reader works out every password slot that somebody forged. */
export const mutant = {
  file: 'packages/recover/src/archive/slot-keys.ts',
  find: 'Math.min(share, left))',
  replace: 'named.size)',
  test: 'packages/recover/src/slots.system.test.ts',
};
