/** Acts on a leaf whose entry hides it from whom it is about. */
export const mutant = {
  file: 'packages/trust/src/key-log.ts',
  find: 'if (Buffer.compare(writeKeyLogLeaf(leaf).outline, outline) !== 0)',
  replace: 'if (Buffer.compare(writeKeyLogLeaf(leaf).outline.subarray(0, 32), outline.subarray(0, 32)) !== 0)',
  test: 'packages/trust/src/key-log.test.ts',
};
