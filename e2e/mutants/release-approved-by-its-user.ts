/** Lets the user of a computer approve what the computer asks for. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/approve-release.ts',
  find: 'return (await findDevice(tx, tenantId, requester.uid))?.user_id === holder.uid;',
  replace: "return (await findDevice(tx, tenantId, requester.uid))?.user_id === '';",
  test: 'apps/cloud/src/modules/releases/standing.db.test.ts',
};
