/** Refuses keyrings, too, behind an escrow slot that does not open. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'if (hasCommit) await expectSoundEscrow(ctx, archive);',
  replace: 'await expectSoundEscrow(ctx, archive);',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
