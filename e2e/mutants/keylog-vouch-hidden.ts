/** Shows a vouch to nobody but who vouched and for whom. */
export const mutant = {
  file: 'packages/trust/src/key-log.ts',
  find: 'key_vouched: ({ holder, by }) => [subjectOf(holder), subjectOf(by), subject.everyone, subject.keystore],',
  replace: 'key_vouched: ({ holder, by }) => [subjectOf(holder), subjectOf(by), subject.keystore],',
  test: 'apps/agent/src/keylog/notices.test.ts',
};
