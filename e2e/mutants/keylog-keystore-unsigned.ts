/** Believes any head for the one that the keystore has followed. */
export const mutant = {
  file: 'apps/agent/src/keylog/keystore-following.ts',
  find: 'openNote(note, [parseVerifierKey(this.#verifier)]);',
  replace: 'openHead(this.#book, note);',
  test: 'apps/agent/src/keylog/keystore-following.test.ts',
};
