/** An older session goes on writing beside the newer one. */
export const mutant = {
  file: 'apps/cloud/src/modules/storage/open-archive.ts',
  find: 'const name = { sessionEpoch: place.session, sequence: place.sequence,',
  replace: 'const name = { sessionEpoch: this.#state.sessionEpoch, sequence: place.sequence,',
  test: 'e2e/storage-sessions.e2e.ts',
};
