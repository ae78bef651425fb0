/** Passes on an error that quotes the orders of the keystore, its password among them. */
export const mutant = {
  file: 'apps/cloud/src/keystore/orders.ts',
  find: "throw new Error('a message of the server has another form');",
  replace: 'return JSON.parse(text) as Head;',
  test: 'apps/cloud/src/keystore/orders.test.ts',
};
