/** Lets one user have any number of restores under way, each with a process and a plan. */
export const mutant = {
  file: 'apps/agent/src/user-restore/restore-for-caller.ts',
  find: 'const restoresOfUser = 2;',
  replace: 'const restoresOfUser = 1000;',
  test: 'apps/agent/src/user-restore/user-restore.system.test.ts',
};
