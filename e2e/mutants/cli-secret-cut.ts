/** Cuts what is too long to a password that nobody chose. */
export const mutant = {
  file: 'apps/cli/src/read-secret.ts',
  find: "if (bytes > mostBytes) throw secretErrors.too_long({ remedy: 'give the password or key alone' });",
  replace: 'if (bytes > mostBytes) return textOf(Buffer.concat(parts).subarray(0, mostBytes));',
  test: 'apps/cli/src/read-secret.test.ts',
};
