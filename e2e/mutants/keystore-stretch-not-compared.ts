/** Believes leaves that are not those signed for. */
export const mutant = {
  file: 'apps/cloud/src/keystore/follow-log.ts',
  find: 'if (!goesOn || !outlines.every(isOutline))',
  replace: 'if (!outlines.every(isOutline))',
  test: 'apps/cloud/src/keystore/follow-log.test.ts',
};
