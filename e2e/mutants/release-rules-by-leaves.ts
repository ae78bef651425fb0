/** Logs a release under rules that stand in the log, and that the keystore refused. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/grant-release.ts',
  find: 'const rule = rules.rulesAt(nowMs)[',
  replace: 'const rule = knowledge.rulesAt(nowMs)[',
  test: 'apps/cloud/src/modules/releases/rules.db.test.ts',
};
