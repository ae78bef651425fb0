/** Follows no log in which a single leaf is wrong. */
export const mutant = {
  file: 'apps/agent/src/keylog/follow-key-log.ts',
  find: '  if (read.parted) throw',
  replace: '  if (read.fault) throw read.fault;\n  if (read.parted) throw',
  test: 'apps/agent/src/keylog/follow-key-log.test.ts',
};
