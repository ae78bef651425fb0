/** Takes whatever escrow keys the server sends. */
export const mutant = {
  file: 'apps/agent/src/cloud/enroll.ts',
  find: 'if (escrowKeysSha256(text) !== expected) throw',
  replace: 'if (escrowKeysSha256(text) === expected.toUpperCase()) throw',
  test: 'e2e/enrolment.e2e.ts',
};
