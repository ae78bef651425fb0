/** Signs the head of the key log in the name of the audit log. */
export const mutant = {
  file: 'apps/cloud/src/modules/logs/log-keys.ts',
  find: "return log === 'key' ? ",
  replace: 'return log.length === 0 ? ',
  test: 'apps/cloud/src/modules/keylog/keylog.db.test.ts',
};
