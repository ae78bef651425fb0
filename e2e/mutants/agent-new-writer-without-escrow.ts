/** Brings in a new writer by a keyring without the escrow that is asked for. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: "const next = { headNumber, origin: 'state_lost', added } as const;",
  replace: "const next = { headNumber, origin: 'state_lost', added: added.slice(1) } as const;",
  test: 'apps/agent/src/destinations/take-over.system.test.ts',
};
