/** Tries a PIN again that was refused, until the token is locked. */
export const mutant = {
  file: 'apps/cloud/src/platform/token-session.ts',
  find: 'if (this.#pinRefused) throw this.#pinRefused;',
  replace: '',
  test: 'apps/cloud/src/platform/kms-pkcs11.test.ts',
};
