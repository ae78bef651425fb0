/** Takes an archive over without hearing the head of the key log that its commits have. */
export const mutant = {
  file: 'apps/agent/src/destinations/take-over.ts',
  find: 'if (onKeyLogHead) for (const note of keyLogHeadsOf(commits, openKeys)) onKeyLogHead(note);',
  replace: '',
  test: 'apps/agent/src/keylog/heads-in-commits.system.test.ts',
};
