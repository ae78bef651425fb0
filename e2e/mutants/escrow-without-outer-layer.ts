/** Seals both layers of an escrow slot to the keystore, so that no log need know. */
export const mutant = {
  file: 'packages/trust/src/escrow-slot.ts',
  find: "const sealed = sealHpke(logKey, info('outer'), inner, random);",
  replace: "const sealed = sealHpke(keystoreKey, info('outer'), inner, random);",
  test: 'apps/cloud/src/keystore/one-side-alone.db.test.ts',
};
