/** Seals keyrings to the slots that a ring from escrow names, whoever sealed that. */
export const mutant = {
  file: 'apps/agent/src/takeover/take-over-archive.ts',
  find: '{ ...parseRing(ring.slice()), slotKeys: [] }',
  replace: 'parseRing(ring.slice())',
  test: 'e2e/takeover-approval.e2e.ts',
};
