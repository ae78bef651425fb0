/** The small reader tries keyrings that anybody can add before those whose writers vouch for each other. */
export const mutant = {
  file: 'packages/recover/src/archive/open-ring.ts',
  find: 'new Set(keyrings.filter((keyring) => isVouchedFor(keyring, by.archiveId)))',
  replace: 'new Set(keyrings)',
  test: 'packages/recover/src/tries.system.test.ts',
};
