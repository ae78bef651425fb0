/** A device enrols without a leaf. */
export const mutant = {
  file: 'apps/cloud/src/modules/devices/enroll-device.ts',
  find: 'if (!enrolled.isRepeated) {',
  replace: 'if (enrolled.isRepeated) {',
  test: 'apps/cloud/src/modules/keylog/logged-acts.db.test.ts',
};
