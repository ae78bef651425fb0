/** The small reader gives the first archives in a folder all its tries: forged headers leave none for the genuine one. */
export const mutant = {
  file: 'packages/recover/src/archive/slot-keys.ts',
  find: 'Math.min(passwordTries, Math.floor(left / archives))',
  replace: 'passwordTries',
  test: 'packages/recover/src/tries.system.test.ts',
};
