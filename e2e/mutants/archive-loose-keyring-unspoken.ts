/** Counts a keyring of a writer whom nobody introduced, and for which no key speaks. */
export const mutant = {
  file: 'packages/archive/src/tree/choose-keyring.ts',
  find: 'return node.isIntroduced || this.#weights.get(node)!.isSpoken;',
  replace: 'return true;',
  test: 'packages/archive/src/tree/open-archive.test.ts',
};
