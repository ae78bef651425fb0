/** Takes a server for there that was there when it was last used. */
export const mutant = {
  file: 'apps/agent/src/control/answer-destinations.ts',
  find: 'await openAnew(parts);',
  replace: `await destinations.check();
  if (isNeeded(parts, config)) await openAnew(parts);`,
  test: 'apps/agent/src/destinations/remove.system.test.ts',
};
