/** Leaves the keystore with the keys of its start: after a change of keys it opens and wraps nothing that lasts. */
export const mutant = {
  file: 'apps/cloud/src/keystore/follow-access.ts',
  find: "if (now?.kind === 'keys') known = join(known, now.keys);",
  replace: 'void now;',
  test: 'apps/cloud/src/keystore/change-keys.system.test.ts',
};
