/** A commit counts whoever signed it. */
export const mutant = {
  file: 'packages/archive/src/log/record-checks.ts',
  find: "if (!isSigned(subject, rightful.publicKey)) return 'the signature does not hold';",
  replace: '',
  test: 'e2e/storage-sessions.e2e.ts',
};
