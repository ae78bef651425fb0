/** A release opens whatever its leaf says. */
export const mutant = {
  file: 'packages/trust/src/release.ts',
  find: 'Buffer.concat([label, archiveId, leafHash])',
  replace: 'Buffer.concat([label, archiveId])',
  test: 'packages/trust/src/release.test.ts',
};
