/** Weaker rules count at once. */
export const mutant = {
  file: 'packages/trust/src/release-rules.ts',
  find: 'isWeaker(next, inForce) ? atMs + waitHours * HOUR_MS : atMs',
  replace: 'isWeaker(next, inForce) ? atMs + waitHours : atMs',
  test: 'packages/trust/src/release-rules.test.ts',
};
