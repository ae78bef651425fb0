/** Seals both layers of an escrow slot to the key of the log, which the api has. */
export const mutant = {
  file: 'packages/trust/src/escrow-slot.ts',
  find: "const inner = sealHpke(keystoreKey, info('inner'), slotKey, random);",
  replace: "const inner = sealHpke(logKey, info('inner'), slotKey, random);",
  test: 'apps/cloud/src/keystore/one-side-alone.db.test.ts',
};
