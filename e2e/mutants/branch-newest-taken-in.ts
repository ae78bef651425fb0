/** Takes versions of a branch in as the newest ones. */
export const mutant = {
  file: 'packages/archive/src/backup/take-in.ts',
  find: 'await commits.write({ ...nothingElse, rows: present, entries, blocks, records });',
  replace: 'await commits.write({ ...nothingElse, rows: present.slice(present.length), entries, blocks, records });',
  test: 'apps/agent/src/engine/take-in.system.test.ts',
};
