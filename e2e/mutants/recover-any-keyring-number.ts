/** Takes a keyring of a number that none can have: one forged file keeps the small reader from the archive. */
export const mutant = {
  file: 'packages/recover/src/format/keyring.ts',
  find: 'if (number < 1 || number > 0xffffffff)',
  replace: 'if (number < 1)',
  test: 'packages/recover/src/keyrings.system.test.ts',
};
