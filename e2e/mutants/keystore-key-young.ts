/** Takes the word of a key that was registered just now. */
export const mutant = {
  file: 'apps/cloud/src/keystore/key-register.ts',
  find: 'if (!key.isTrustedAtOnce && nowMs < key.firstSeenMs + KEY_WAIT_MS)',
  replace: 'if (!key.isTrustedAtOnce && nowMs < key.firstSeenMs)',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
