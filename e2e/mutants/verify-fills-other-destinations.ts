/** Stores again whatever one destination says that it has not whole, though another has it. */
export const mutant = {
  file: 'apps/agent/src/verify/mend.ts',
  find: '.filter((ordinal) => !elsewhere.has(ordinal));',
  replace: ';',
  test: 'apps/agent/src/verify/lying.system.test.ts',
};
