/** Takes a proof that is worth something for longer than its kind may be. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/take-over.ts',
  find: 'if (expiresAtMs > now.getTime() + takeoverProofLifeMs[claim.kind] + CLOCK_SLACK_MS)',
  replace: 'if (expiresAtMs > Number.MAX_SAFE_INTEGER)',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
