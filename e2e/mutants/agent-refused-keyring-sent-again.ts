/** Sends a keyring that a server refused for ever again. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: '(isRefused ? undefined : announced)',
  replace: '(isRefused ? announced : announced)',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
