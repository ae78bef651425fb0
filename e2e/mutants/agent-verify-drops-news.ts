/** Opens destinations to verify them, and forgets what that said: that the device goes on as another writer, say. */
export const mutant = {
  file: 'apps/agent/src/schedule/protector.ts',
  find: 'this.#takeNews(await destinations.connect());',
  replace: 'await destinations.connect();',
  test: 'apps/agent/src/verify/verify.system.test.ts',
};
