/** Takes what an earlier writer sealed under numbers above the keyring for new, whoever wrote it. */
export const mutant = {
  file: 'apps/agent/src/keys/reseal-past.ts',
  find: 'return Math.max(first?.ordinal ?? 0, ordinalOf(keys.writerNumber, 0));',
  replace: 'return Math.max(first?.ordinal ?? 0, 0);',
  test: 'apps/agent/src/keys/reseal-past.system.test.ts',
};
