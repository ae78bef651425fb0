/** Keeps what opens a release after it was taken. */
export const mutant = {
  file: 'apps/agent/src/releases/kept-requests.ts',
  find: 'rmSync(fileOf(requestSha256), { force: true });',
  replace: 'fileOf(requestSha256);',
  test: 'apps/agent/src/releases/kept-requests.test.ts',
};
