/** Accepts a proof of possession again. */
export const mutant = {
  file: 'apps/cloud/src/modules/tokens/dpop.ts',
  find: 'if (!isFirst) throw',
  replace: "if (!isFirst && row.tenant_id === '') throw",
  test: 'apps/cloud/src/modules/tokens/tokens.db.test.ts',
};
