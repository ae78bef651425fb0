/** Tries slots of keyrings that are not the newest. */
export const mutant = {
  file: 'apps/cloud/src/modules/escrow/tries-store.ts',
  find: "and l.keyring_sha256 = a.log_state -> 'keyring' ->> 'sha256'",
  replace: 'and l.keyring_sha256 is not null',
  test: 'apps/cloud/src/modules/escrow/try-slots.db.test.ts',
};
