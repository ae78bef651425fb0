/** Follows a key log that does not have the escrow keys that the computer was given. */
export const mutant = {
  file: 'apps/agent/src/keylog/learn.ts',
  find: 'if (!other && (isThere || !isWhole)) return undefined;',
  replace: 'if (!other) return undefined;',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
