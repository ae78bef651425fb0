/** Takes a newer keyring that nobody vouches for by its slot alone, whatever epochs are in its ring. */
export const mutant = {
  file: 'packages/archive/src/tree/open-ring.ts',
  find: 'if (before === undefined || before.epochs.every((epoch) => isAmong(epochs, epoch))) return { opened, epochs };',
  replace: 'if (before === undefined || isAmong(epochs, epochs[0]!)) return { opened, epochs };',
  test: 'packages/archive/src/tree/open-ring.test.ts',
};
