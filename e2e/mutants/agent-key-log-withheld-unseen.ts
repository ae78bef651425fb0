/** Forgets a signed head whose leaves never come. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: 'book.noteShown({ note, treeSize: head.treeSize }, clock.now());',
  replace: '',
  test: 'apps/agent/src/keylog/lateness.test.ts',
};
