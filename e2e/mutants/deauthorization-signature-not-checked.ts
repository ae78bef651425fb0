/** A device believes whoever says that it was deauthorised. */
export const mutant = {
  file: 'apps/agent/src/cloud/deauthorization.ts',
  find: 'openDeauthorization(statement, identity, [parseVerifierKey(logKey)]);',
  replace:
    'if (statement === identity.deviceUid) openDeauthorization(statement, identity, [parseVerifierKey(logKey)]);',
  test: 'apps/agent/src/cloud/deauthorization.test.ts',
};
