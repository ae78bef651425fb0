/** Shows a person an archive that the request is not about. */
export const mutant = {
  file: 'apps/agent/src/releases/shown-documents.ts',
  find: 'if (request.archiveId !== state.archiveId)',
  replace: 'if (request.archiveId === undefined)',
  test: 'apps/agent/src/releases/release-client.test.ts',
};
