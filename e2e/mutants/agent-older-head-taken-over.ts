/** Goes on from any destination that says it is ahead, beside one that is at the device's head. */
export const mutant = {
  file: 'apps/agent/src/destinations/judge-session.ts',
  find: 'return (await continuesOwnState(archive, session, shown)) ? shown : undefined;',
  replace: 'return (await continuesOwnState(archive, session, shown)) || shown ? shown : undefined;',
  test: 'apps/agent/src/destinations/lying-server.system.test.ts',
};
