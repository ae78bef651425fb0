/** Reads the data key where the metadata key belongs. */
export const mutant = {
  file: 'packages/recover/src/archive/epoch-keys.ts',
  find: "part === 'data' ? epochKey.subarray(0, 32) : epochKey.subarray(32)",
  replace: "part !== 'data' ? epochKey.subarray(0, 32) : epochKey.subarray(32)",
  test: 'packages/recover/src/read-keys.system.test.ts',
};
