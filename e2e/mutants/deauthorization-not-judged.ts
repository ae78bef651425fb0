/** The client hands a refusal on as the server worded it. */
export const mutant = {
  file: 'apps/agent/src/cloud/cloud-client.ts',
  find: 'throw judgeRefusal(error, this.enrollment);',
  replace: "throw this.enrollment.url === '' ? judgeRefusal(error, this.enrollment) : error;",
  test: 'e2e/deauthorization.e2e.ts',
};
