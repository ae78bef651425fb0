/** A change counts as made before it counts: approvals to 0 and back are 0 in between. */
export const mutant = {
  file: 'packages/trust/src/release-rules.ts',
  find: 'state = changed(ruleAt(state, lastMs), rules[purpose], lastMs);',
  replace: 'state = changed(state.next, rules[purpose], lastMs);',
  test: 'packages/trust/src/release-rules.test.ts',
};
