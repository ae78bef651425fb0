/** Lets a computer ask for the archive of another one. */
export const mutant = {
  file: 'apps/cloud/src/modules/releases/request-release.ts',
  find: "if (request.scope !== 'read' || archive?.device_id !== holder.uid) throw",
  replace: "if (request.scope !== 'read' || archive?.device_id === '') throw",
  test: 'apps/cloud/src/modules/releases/standing.db.test.ts',
};
