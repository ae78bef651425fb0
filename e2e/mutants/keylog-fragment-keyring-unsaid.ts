/** Takes keyrings that a session brings without a leaf in the key log. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/write-archive.ts',
  find: 'admit: (keyrings) => admitKeyrings(ctx, archive, keyrings),',
  replace: 'admit: async () => undefined,',
  test: 'apps/cloud/src/modules/keylog/logged-acts.db.test.ts',
};
