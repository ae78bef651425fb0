/** Takes the approval of a key that has ended. */
export const mutant = {
  file: 'apps/cloud/src/modules/keylog/approvers.ts',
  find: "if (leaf.kind === 'person_key_ended') return undefined;",
  replace: "if (leaf.kind === 'person_key_ended') continue;",
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
