/** Lets the keystore free copies of what it decrypted as they are. */
export const mutant = {
  file: 'apps/cloud/src/keystore/supervise.ts',
  find: "  GLIBC_TUNABLES: 'glibc.malloc.perturb=165:glibc.malloc.tcache_count=0',",
  replace: "  GLIBC_TUNABLES: 'glibc.malloc.perturb=0',",
  test: 'apps/cloud/src/keystore/freed-memory.system.test.ts',
};
