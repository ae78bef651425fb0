/** Asks a witness that does not answer again at once. */
export const mutant = {
  file: 'apps/cloud/src/modules/witnesses/keep-witnessing.ts',
  find: 'untilMs: this.#deps.clock.now() + retryDelayMs(BACKOFF, failures, Math.random())',
  replace: 'untilMs: this.#deps.clock.now()',
  test: 'apps/cloud/src/modules/witnesses/witnessing.db.test.ts',
};
