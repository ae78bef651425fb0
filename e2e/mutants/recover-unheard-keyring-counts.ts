/** The small reader lets a writer whom nobody introduced go before what the rightful one signed. */
export const mutant = {
  file: 'packages/recover/src/archive/keyring-line.ts',
  find: 'if (this.#mayEnd(node, sides)) sides.push({ node, ends: true });',
  replace: 'if (this.#mayEnd(node, sides)) sides.push();',
  test: 'packages/recover/src/lines.system.test.ts',
};
