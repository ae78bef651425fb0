/** Writes a live set though a destination is away that may have a branch. */
export const mutant = {
  file: 'apps/agent/src/keys/reseal-past.ts',
  find: "if (!session && writerNumber > 0) return { destination: name, why: 'away' };",
  replace: '',
  test: 'apps/agent/src/keys/reseal-past.system.test.ts',
};
