/** Goes on knowing blocks that were let go as needed, and brings them to a new destination. */
export const mutant = {
  file: 'packages/archive/src/backup/close-past.ts',
  find: 'for (const ordinal of old) if (unneeded.push(ordinal) >= forgottenAtOnce) forget();',
  replace: '',
  test: 'apps/agent/src/keys/reseal-past.system.test.ts',
};
