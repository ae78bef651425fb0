/** Believes a cosignature without checking it. */
export const mutant = {
  file: 'packages/trust/src/cosignature.ts',
  find: '!isTime || !verifyEd25519(key.publicKey, cosignedMessage(text, seconds), signature.subarray(TIME_BYTES))',
  replace: '!isTime',
  test: 'packages/trust/src/cosignature.test.ts',
};
