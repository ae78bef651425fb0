/** Takes fragments of a session that a newer one has fenced off. */
export const mutant = {
  file: 'packages/archive/src/log/sessions.ts',
  find: 'if (fragment.sessionEpoch !== state.sessionEpoch || state.sessionEpoch === 0) return',
  replace: 'if (state.sessionEpoch === 0) return',
  test: 'packages/archive/src/log/sessions.test.ts',
};
