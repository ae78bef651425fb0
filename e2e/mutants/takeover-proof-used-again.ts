/** Lets a computer go on by a proof that was used, after the archive has gone on to another. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/take-over.ts',
  find: 'if (!archive || !isOurs || !isStillSo)',
  replace: 'if (!archive || !isOurs)',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
