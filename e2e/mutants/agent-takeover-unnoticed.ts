/** Says nothing of an archive that goes to another computer. */
export const mutant = {
  file: 'apps/agent/src/keylog/notices.ts',
  find: "if (leaf?.kind === 'archive_takeover') {",
  replace: "if (leaf?.kind === 'archive_takeover' && leaf.step === 'begun') {",
  test: 'apps/agent/src/keylog/notices.test.ts',
};
