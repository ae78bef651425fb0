/** Takes commits whatever their signature. */
export const mutant = {
  file: 'packages/archive/src/log/record-checks.ts',
  find: "if (!isSigned(subject, rightful.publicKey)) return 'the signature does not hold';",
  replace: '',
  test: 'packages/archive/src/log/sessions.test.ts',
};
