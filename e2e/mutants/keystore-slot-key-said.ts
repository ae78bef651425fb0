/** Writes the key of a slot to the keystore's log, which is the server's: so that has it, too. */
export const mutant = {
  file: 'apps/cloud/src/keystore/open-release.ts',
  find: '    slotKey.fill(0);',
  replace: "    process.stderr.write(`${Buffer.from(slotKey).toString('base64')}\\n`);\n    slotKey.fill(0);",
  test: 'e2e/keystore-memory.e2e.ts',
};
