/** Ends a restore whose session was closed by something else that failed. */
export const mutant = {
  file: 'apps/agent/src/user-restore/lasting-destinations.ts',
  find: '  await open.protector.reach();\n',
  replace: '',
  test: 'apps/agent/src/user-restore/lasting-destinations.system.test.ts',
};
