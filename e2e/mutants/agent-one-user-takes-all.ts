/** Lets one user take all connections of the control socket. */
export const mutant = {
  file: 'apps/agent/src/control/server.ts',
  find: '.length >= mostPerUser',
  replace: '.length >= mostConnections',
  test: 'apps/agent/src/control/crowded.system.test.ts',
};
