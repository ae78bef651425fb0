/** Leaves its number to a change of the rules that the keystore refused: no other change is taken ever after. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/change-rules.ts',
  find: 'if (logIndex >= known.treeSize || known.counts(changeSha256)) continue;',
  replace: 'if (logIndex >= 0 || known.counts(changeSha256)) continue;',
  test: 'apps/cloud/src/modules/releases/rules.db.test.ts',
};
