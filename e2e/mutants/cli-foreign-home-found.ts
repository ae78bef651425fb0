/** Takes the state folder of another user where it is found above the working folder. */
export const mutant = {
  file: 'apps/cli/src/config.ts',
  find: '    if (isOurs(home, env)) return home;',
  replace: '    if (existsSync(home)) return home;',
  test: 'apps/cli/src/config.test.ts',
};
