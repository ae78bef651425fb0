/** Takes in what a record of the branch holds without comparing it with the hash that the branch has of it. */
export const mutant = {
  file: 'packages/archive/src/backup/take-in.ts',
  find: "if (!piece || compareBytes(hash('sha256', piece, 'buffer'), named.sha256) !== 0) {",
  replace: 'if (!piece) {',
  test: 'apps/agent/src/engine/take-in.system.test.ts',
};
