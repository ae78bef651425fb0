/** Believes escrow keys by the leaf of them alone, also where the log has other ones of their number. */
export const mutant = {
  file: 'apps/agent/src/keylog/learn.ts',
  find: "if (known === 'other' || sameNumber.some((each) => each.sha256 !== sha256)) return { sha256, status: 'other' };",
  replace: '',
  test: 'apps/agent/src/keylog/escrow-keys-seen.test.ts',
};
