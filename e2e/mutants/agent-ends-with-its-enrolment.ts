/** Starts no agent where the enrolment is damaged, so that folders are not protected either. */
export const mutant = {
  file: 'apps/agent/src/cloud/enrolled-agent.ts',
  find: '    if (error instanceof CodedError) return error;\n',
  replace: '',
  test: 'e2e/enrolment.e2e.ts',
};
