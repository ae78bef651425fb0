/** Forgets a signed head whose leaves never come. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: '  noteShown(book, head, shown, clock.now());\n',
  replace: '',
  test: 'apps/agent/src/keylog/lateness.test.ts',
};
