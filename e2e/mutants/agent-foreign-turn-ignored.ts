/** Goes on as the writer that it was at a destination where another life of the device brought in the next one. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'archive.noteSuccessor();',
  replace: 'archive.save(taken);',
  test: 'apps/agent/src/destinations/foreign-keyring.system.test.ts',
};
