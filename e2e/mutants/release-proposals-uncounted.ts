/** Counts no proposals of rules, for each of which the keystore is asked. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/change-rules.ts',
  find: 'await countAct(tx, { tenantId, uid: holder.uid, at });',
  replace: 'await Promise.resolve([tenantId, holder, at, countAct]);',
  test: 'apps/cloud/src/modules/releases/limits.db.test.ts',
};
