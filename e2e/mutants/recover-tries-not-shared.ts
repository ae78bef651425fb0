/** The small reader gives the first archives in a folder all its tries: forged headers leave none for the genuine one. */
export const mutant = {
  file: 'packages/recover/src/archive/try-pool.ts',
  find: 'Math.ceil(this.#tries / parts), this.#kibibytePasses / parts',
  replace: 'this.#tries, this.#kibibytePasses',
  test: 'packages/recover/src/archive/try-pool.test.ts',
};
