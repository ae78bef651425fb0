/** Takes a recovery code that was struck. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/entitlement.ts',
  find: 'return keyrings.some(({ keyring_sha256: sha256 }) => sha256 === archive.keyring.sha256);',
  replace: 'return archive.keyring.sha256 !== null && keyrings.length > 0;',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
