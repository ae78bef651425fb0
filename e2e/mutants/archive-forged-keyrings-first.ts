/** Tries keyrings that anybody can add before those whose writers vouch for each other: their slots use a reader's tries up. */
export const mutant = {
  file: 'packages/archive/src/tree/open-ring.ts',
  find: 'if (await isVouchedFor(candidate.keyring, by.archiveId, by.tools)) vouched.add(candidate);',
  replace: 'vouched.add(candidate);',
  test: 'packages/archive/src/tree/open-ring.test.ts',
};
