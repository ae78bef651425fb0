/** A known ordinal with other bytes counts as the one that is there. */
export const mutant = {
  file: 'packages/archive/src/log/archive-folder.ts',
  find: 'if (!stored || Buffer.compare(stored, bytes) !== 0) throw logErrors.ordinal_known({ ordinal });',
  replace: 'if (!stored) throw logErrors.ordinal_known({ ordinal });',
  test: 'e2e/storage-sessions.e2e.ts',
};
