/** Takes any head of a device for one of the log that is there. */
export const mutant = {
  file: 'apps/cloud/src/modules/keylog/compare-head.ts',
  find: "Buffer.compare(root, head.root) === 0 ? 'same_log' : 'forked'",
  replace: "root.length > 0 ? 'same_log' : 'forked'",
  test: 'apps/cloud/src/modules/keylog/heard-heads.db.test.ts',
};
