/** Takes a call that was signed at any time. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/callers.ts',
  find: 'if (Math.abs(nowMs - Date.parse(call.at)) > RELEASE_CALL_MS)',
  replace: 'if (Math.abs(nowMs - Date.parse(call.at)) > Infinity)',
  test: 'apps/cloud/src/modules/releases/releases.db.test.ts',
};
