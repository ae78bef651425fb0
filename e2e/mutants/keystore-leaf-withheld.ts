/** Goes on over a leaf that is withheld from the keystore. */
export const mutant = {
  file: 'apps/cloud/src/keystore/follow-log.ts',
  find: 'if (text === undefined) throw keystoreErrors.hidden_leaf({ logIndex });',
  replace: "if (text === undefined) return { kind: 'key_ended' } as KeystoreLeaf;",
  test: 'apps/cloud/src/keystore/follow-log.test.ts',
};
