/** The small reader lets a keyring count that does not go on with the keys of those before it. */
export const mutant = {
  file: 'packages/recover/src/archive/keyring-tree.ts',
  find: 'return before.ring.every(({ number, key }) => keys.get(number)?.equals(key) === true);',
  replace: 'return before.ring.every(({ number }) => number >= 0 || keys.size > 0);',
  test: 'packages/recover/src/lines.system.test.ts',
};
