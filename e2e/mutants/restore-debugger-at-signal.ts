/** Lets a user open a debugger in the process that root started to write for them. */
export const mutant = {
  file: 'apps/agent/src/user-restore/start-writer.ts',
  find: "'--disable-sigusr1', ",
  replace: '',
  test: 'apps/agent/src/user-restore/user-restore.system.test.ts',
};
