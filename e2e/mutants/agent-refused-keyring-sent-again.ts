/** Sends a keyring that a server refused for ever again. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'if (added.length === 0) return announced;',
  replace: 'return announced;',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
