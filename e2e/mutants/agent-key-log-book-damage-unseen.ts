/** Believes values of its book that are not those which were written. */
export const mutant = {
  file: 'apps/agent/src/keylog/book-file.ts',
  find: "if (row['sha256'] !== factSha256(key, value))",
  replace: "if (row['sha256'] === '')",
  test: 'apps/agent/src/keylog/key-log-book.test.ts',
};
