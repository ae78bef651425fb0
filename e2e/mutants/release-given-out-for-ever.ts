/** Gives out what was released for as long as its request counts: to whoever steals the recipient's key meanwhile. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/take-release.ts',
  find: 'granted && nowMs >= granted.at.getTime() + ANSWER_AGAIN_MS',
  replace: 'granted && nowMs < granted.at.getTime()',
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
