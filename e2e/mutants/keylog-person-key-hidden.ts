/** Shows the key of a person to no computer. */
export const mutant = {
  file: 'packages/trust/src/key-log.ts',
  find: 'person_key_registered: ({ userUid }) => [subject.person(userUid), subject.everyone, subject.keystore],',
  replace: 'person_key_registered: ({ userUid }) => [subject.person(userUid), subject.keystore],',
  test: 'apps/agent/src/keylog/notices.test.ts',
};
