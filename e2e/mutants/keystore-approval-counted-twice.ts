/** Counts a person twice. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-approvals.ts',
  find: '  if (persons.size < approvers.length) throw keystoreErrors.approved_twice();\n  return persons.size;',
  replace: '  return persons.size < 0 ? 0 : approvers.length;',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
