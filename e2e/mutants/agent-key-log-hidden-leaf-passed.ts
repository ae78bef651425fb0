/** Passes over a leaf about its own archive that it is not shown. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'if (body === undefined || !isTextOf(outline, body)) throw keyLogErrors.leaf_hidden({ logIndex });',
  replace: 'if (body === undefined || !isTextOf(outline, body)) return { hash };',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
