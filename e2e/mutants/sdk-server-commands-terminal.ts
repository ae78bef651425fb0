/** Hands on what a server says of a failure with the commands for a terminal that are in it. */
export const mutant = {
  file: 'packages/sdk/src/problem-error.ts',
  find: 'message: shownOf(title) as string',
  replace: 'message: title',
  test: 'packages/sdk/src/client.test.ts',
};
