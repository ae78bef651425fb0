/** Lets somebody go on who is blocked or deactivated. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/callers.ts',
  find: 'if (!(await isInGoodStanding(tx, tenantId, holder))) throw',
  replace: "if (!(await isInGoodStanding(tx, tenantId, holder)) && tenantId === '') throw",
  test: 'apps/cloud/src/modules/releases/standing.db.test.ts',
};
