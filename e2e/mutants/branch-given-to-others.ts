/** Takes what a destination has of a branch for records of the line, and sends it to the others. */
export const mutant = {
  file: 'apps/agent/src/branches/without-branches.ts',
  find: 'if (!branches.some((each) => isOf(each, listed.ordinal))) yield listed;',
  replace: 'if (!branches.some((each) => isOf(each, -listed.ordinal))) yield listed;',
  test: 'apps/agent/src/branches/branches.system.test.ts',
};
