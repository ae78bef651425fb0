/** Has the keystore run code that was compiled before, from where others of its user may write. */
export const mutant = {
  file: 'apps/cloud/src/keystore/supervise.ts',
  find: 'const env = { ...tokenEnvironment, ...forgetfulMemory };',
  replace:
    "const env = { ...tokenEnvironment, ...forgetfulMemory, NODE_COMPILE_CACHE: path.join(import.meta.dirname, 'compiled') };",
  test: 'apps/cloud/src/keystore/keystore-process.system.test.ts',
};
