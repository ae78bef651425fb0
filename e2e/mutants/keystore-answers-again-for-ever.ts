/** Answers a request again whenever it is asked. */
export const mutant = {
  file: 'apps/cloud/src/keystore/judge-release.ts',
  find: '&& nowMs < before.usedMs + ANSWER_AGAIN_MS',
  replace: '&& nowMs > 0',
  test: 'apps/cloud/src/keystore/judge-release.test.ts',
};
