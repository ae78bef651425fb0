/** Takes the time of a cosignature from beside what was signed. */
export const mutant = {
  file: 'packages/trust/src/cosignature.ts',
  find: 'const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0);',
  replace: 'const seconds = new DataView(signature.buffer, signature.byteOffset).getBigUint64(0) & ~1n;',
  test: 'packages/trust/src/cosignature.test.ts',
};
