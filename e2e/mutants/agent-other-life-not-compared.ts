/** Takes what another life of the device sent to a destination for its own, since it has the same ordinals. */
export const mutant = {
  file: 'apps/agent/src/destinations/catch-up.ts',
  find: 'const isDiffering = other !== undefined && Buffer.compare(other, record) !== 0;',
  replace: 'const isDiffering = other !== undefined && other.length === 0;',
  test: 'apps/agent/src/destinations/catch-up.test.ts',
};
