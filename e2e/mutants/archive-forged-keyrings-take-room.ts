/** Lets keyrings that anybody can sign take the room of those whose writers were introduced. */
export const mutant = {
  file: 'packages/archive/src/tree/gather-keyrings.ts',
  find: "lists.empty)) ? 'introduced' : 'others'",
  replace: "lists.empty)) ? 'others' : 'others'",
  test: 'packages/archive/src/tree/gather-keyrings.test.ts',
};
