/** The small reader works out every password slot that somebody forged. */
export const mutant = {
  file: 'packages/recover/src/archive/try-pool.ts',
  find: 'if (this.#tries < 1 || kibibytePasses',
  replace: 'if (kibibytePasses',
  test: 'packages/recover/src/slots.system.test.ts',
};
