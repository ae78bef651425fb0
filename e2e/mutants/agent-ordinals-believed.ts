/** Gives up its writer number for a number that a server says, unseen. */
export const mutant = {
  file: 'apps/agent/src/destinations/own-ordinals.ts',
  find: 'throw destinationErrors.ordinals_unproven({ destination: session.name });',
  replace: 'return ordinalOf(writerNumber, highest);',
  test: 'apps/agent/src/destinations/lying-server.system.test.ts',
};
