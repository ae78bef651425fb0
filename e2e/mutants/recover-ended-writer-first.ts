/** The small reader does not ask whom the writers of a fork introduced: an ended one hides what his successor wrote. */
export const mutant = {
  file: 'packages/recover/src/archive/keyring-line.ts',
  find: 'const isShorter = shorter.has(lists.get(side)!.listName) ? 1 : 0;',
  replace: 'const isShorter = shorter.has(lists.get(side)!.listName) ? 0 : 0;',
  test: 'packages/recover/src/lines.system.test.ts',
};
