/** Reaches the folder of a destination by whatever link stands on its way, and makes what is not there. */
export const mutant = {
  file: 'apps/agent/src/destinations/folder-place.ts',
  find: "reach: 'real',",
  replace: '',
  test: 'apps/agent/src/destinations/folder-place.system.test.ts',
};
