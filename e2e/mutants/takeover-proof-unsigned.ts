/** Believes a proof whatever its signature. */
export const mutant = {
  file: 'packages/trust/src/takeover.ts',
  find: 'if (!isSignedBySigner(claim, { text, signature }))',
  replace: 'if (!isSignedBySigner(claim, { text, signature }) && text.length === 0)',
  test: 'packages/trust/src/takeover.test.ts',
};
