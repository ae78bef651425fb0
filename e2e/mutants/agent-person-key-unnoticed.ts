/** Says nothing of a person who has a key from now on. */
export const mutant = {
  file: 'apps/agent/src/keylog/notices.ts',
  find: 'if (leaf && isAboutKeys(leaf)) return',
  replace: "if (leaf && leaf.kind !== 'person_key_registered' && isAboutKeys(leaf)) return",
  test: 'apps/agent/src/keylog/notices.test.ts',
};
