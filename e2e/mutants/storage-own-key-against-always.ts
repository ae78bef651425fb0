/** Takes an own key in place of escrow where the org asks for escrow whatever the user chose. */
export const mutant = {
  file: 'apps/cloud/src/modules/policies/escrow-demand.ts',
  find: "return setting === 'always' || (setting === 'required' && !slots.some(isOwnKey));",
  replace: "return setting !== 'off' && !slots.some(isOwnKey);",
  test: 'apps/cloud/src/modules/storage/escrow-demand.db.test.ts',
};
