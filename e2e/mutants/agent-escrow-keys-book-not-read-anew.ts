/** Does not read a log anew in which escrow keys were never looked for. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-log-book.ts',
  find: 'if (this.escrowKeys()?.sha256 !== escrowKeysSha256) return false;',
  replace: '',
  test: 'apps/agent/src/keylog/escrow-keys-seen.test.ts',
};
