/** Lets a device that may restore nothing hand its archive over. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/entitlement.ts',
  find: "device.state === 'active' && !device.blocked &&",
  replace: "device.state === 'active' &&",
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
