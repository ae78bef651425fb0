/** A statement that another enrolment was deauthorised is believed by every device of the tenant. */
export const mutant = {
  file: 'packages/trust/src/deauthorization.ts',
  find: 'if (deauthorizedAt === undefined || text !== textOf(device, deauthorizedAt)) throw noteErrors.malformed();',
  replace: 'if (deauthorizedAt === undefined || device.deviceUid === text) throw noteErrors.malformed();',
  test: 'packages/trust/src/deauthorization.test.ts',
};
