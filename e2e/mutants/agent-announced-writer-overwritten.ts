/** Announces another writer in place of one that may have arrived somewhere. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'const stored = announced ? withLacking(announced, added, ports) :',
  replace: 'const stored = announced && added.length === 0 ? announced :',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
