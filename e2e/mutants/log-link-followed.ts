/** Opens what a link in an archive folder leads to, as the agent's own user. */
export const mutant = {
  file: 'packages/archive/src/log/node-disk.ts',
  find: 'const always = O_NOFOLLOW | O_NONBLOCK;',
  replace: 'const always = O_NONBLOCK + 0 * O_NOFOLLOW;',
  test: 'packages/archive/src/log/node-disk.system.test.ts',
};
