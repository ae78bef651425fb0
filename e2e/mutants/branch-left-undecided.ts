/** Goes on with the line at a destination whose branch nobody decided about. */
export const mutant = {
  file: 'apps/agent/src/branches/leave-branch.ts',
  find: "if (!known || known.state === 'open') throw branchedAt(name, known);",
  replace: 'if (!known) throw branchedAt(name, known);',
  test: 'apps/agent/src/branches/branches.system.test.ts',
};
