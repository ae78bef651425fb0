/** Stores again, for what is lost, whatever the file has at that place now. */
export const mutant = {
  file: 'packages/archive/src/backup/store-again.ts',
  find: 'return local && isPiece(local, located) ? local : undefined;',
  replace: 'return local;',
  test: 'apps/agent/src/engine/store-again.system.test.ts',
};
