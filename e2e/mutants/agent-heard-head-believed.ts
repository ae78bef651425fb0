/** Takes any head that was heard for one of the log that is known. */
export const mutant = {
  file: 'apps/agent/src/keylog/hear-head.ts',
  find: '    expectSameLeaves(book, head);\n',
  replace: '',
  test: 'apps/agent/src/keylog/hear-head.test.ts',
};
