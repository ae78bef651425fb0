/** The agent takes whatever CA the server shows. */
export const mutant = {
  file: 'apps/agent/src/cloud/enroll.ts',
  find: 'if (found !== caSha256) throw',
  replace: 'if (found === undefined) throw',
  test: 'e2e/enrolment.e2e.ts',
};
