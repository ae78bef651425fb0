/** Lets a device that has ended hand its archive over. */
export const mutant = {
  file: 'apps/cloud/src/modules/takeovers/entitlement.ts',
  find: "device.state === 'active' && !device.blocked &&",
  replace: '!device.blocked &&',
  test: 'apps/cloud/src/modules/takeovers/takeovers.db.test.ts',
};
