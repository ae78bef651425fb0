/** Takes a keyring in a fragment without judging it, and without a leaf. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/write-archive.ts',
  find: 'admit: (arriving) => admit(ctx, archive, arriving),',
  replace: 'admit: async () => undefined,',
  test: 'apps/cloud/src/modules/storage/escrow-demand.db.test.ts',
};
