/** Does not record in the audit log that a witness has seen another log. */
export const mutant = {
  file: 'apps/cloud/src/modules/witnesses/witness-head.ts',
  find: 'if (error instanceof CodedError) await keepFault(deps, error, { tenantId, witness });',
  replace: '',
  test: 'apps/cloud/src/modules/witnesses/witnessing.db.test.ts',
};
