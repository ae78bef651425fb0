/** Lets nobody replace an own key under a policy that would have none. */
export const mutant = {
  file: 'apps/agent/src/control/answer-key-use.ts',
  find: ' && archive.stored.choice === undefined) throw',
  replace: ') throw',
  test: 'apps/agent/src/control/own-key.system.test.ts',
};
