/** Brings in a new writer by a keyring without the escrow that is asked for. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'const added = escrowWanted(archive, announced ?? archive.stored, ports);',
  replace: 'const added = escrowWanted(archive, announced ?? archive.stored, ports).slice(1);',
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
