/** Takes the approval of a key that was registered today. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/entitlement.ts',
  find: 'since !== undefined && since.getTime() + KEY_WAIT_MS <= now.getTime();',
  replace: 'since !== undefined && since.getTime() <= now.getTime();',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
