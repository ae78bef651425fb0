/** Approves a takeover of the computer that the server names in place of the one that was meant. */
export const mutant = {
  file: 'apps/agent/src/releases/release-client.ts',
  find: '![archiveId, deviceUid].includes(archive.toLowerCase())',
  replace: 'false',
  test: 'apps/agent/src/releases/released-ring.test.ts',
};
