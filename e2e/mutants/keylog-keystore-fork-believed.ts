/** Does not compare the head that the keystore has followed with the leaves known here. */
export const mutant = {
  file: 'apps/agent/src/keylog/keystore-following.ts',
  find: 'const heard = hearHead(this.#book, note, hearing.nowMs);',
  replace:
    "const heard = Math.random() < 2 ? { status: 'consistent' as const } : hearHead(this.#book, note, hearing.nowMs);",
  test: 'apps/agent/src/keylog/keystore-following.test.ts',
};
