/** Weaker rules wait for their own delay, and not for the old one. */
export const mutant = {
  file: 'packages/trust/src/release-rules.ts',
  find: 'Math.max(LEAST_RULES_DELAY_HOURS, inForce.delayHours)',
  replace: 'Math.max(LEAST_RULES_DELAY_HOURS, next.delayHours)',
  test: 'packages/trust/src/release-rules.test.ts',
};
