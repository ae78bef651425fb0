/** Leaves a new slot to the weekly run. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/archives.ts',
  find: 'await ctx.jobs.enqueue(tx, newEscrowSlots, { isSecondLook: false });',
  replace: ';',
  test: 'apps/cloud/src/modules/escrow/new-slots.db.test.ts',
};
