/** Enrols no computer anew whose enrolment is damaged. */
export const mutant = {
  file: 'apps/agent/src/cloud/enroll.ts',
  find: 'if (!isUnusable(error)) throw error;',
  replace: 'throw error;',
  test: 'e2e/enrolment.e2e.ts',
};
