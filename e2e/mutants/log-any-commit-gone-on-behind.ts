/** Goes on behind a commit of that number, whichever it is. */
export const mutant = {
  file: 'packages/archive/src/log/local-destination.ts',
  find: "commit.number === number && createHash('sha256').update(outcome.bytes).digest('hex') === sha256;",
  replace:
    "commit.number === number && createHash('sha256').update(outcome.bytes).digest('hex').length === sha256.length;",
  test: 'packages/archive/src/log/local-destination.system.test.ts',
};
