/** Lets an archive change hands behind another keyring than the one that was read. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/take-over.ts',
  find: 'if (archive.keyring.sha256 !== keyringSha256)',
  replace: "if (keyringSha256 === '')",
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
