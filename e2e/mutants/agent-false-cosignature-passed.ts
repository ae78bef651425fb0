/** Lets a false cosignature of a demanded witness pass. */
export const mutant = {
  file: 'apps/agent/src/keylog/key-witnesses.ts',
  find: 'this.#note(keyLogErrors.cosignature_false({ witness: key.name }, error), { note, nowMs, faults });',
  replace: '',
  test: 'apps/agent/src/keylog/key-witnesses.test.ts',
};
