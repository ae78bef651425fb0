/** Opens what was granted before that lies on the disk. */
export const mutant = {
  file: 'apps/cloud/src/keystore/release.ts',
  find: '  else if (verdict.keep.use) await kept.insertUse(tx, tenantId, verdict.keep.use);\n  return verdict;',
  replace:
    '  else if (verdict.keep.use) {\n    await openKeystoreKey(context, tenantId, innerKeyIdOf(verdict.grant));\n    await kept.insertUse(tx, tenantId, verdict.keep.use);\n  }\n  return verdict;',
  test: 'apps/cloud/src/keystore/releases-kept.db.test.ts',
};
