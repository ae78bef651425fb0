/** Believes every new key at once, as if it were the first. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'newKey(leaf, { isFirst: keys.length === 0, nowMs })',
  replace: 'newKey(leaf, { isFirst: true, nowMs })',
  test: 'apps/cloud/src/keystore/key-register.test.ts',
};
