/** Puts a head whose leaves never came out of mind for a longer one. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-log-book.ts',
  find: 'if (heads.length >= MOST_SHOWN)',
  replace: 'if (heads.length > 0)',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
