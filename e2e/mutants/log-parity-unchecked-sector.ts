/** Rebuilds a sector from others without looking whether those are whole. */
export const mutant = {
  file: 'packages/archive/src/log/segment-repair.ts',
  find: 'return crc32(bytes) === checksum ? bytes : undefined;',
  replace: 'return crc32(bytes) === checksum || bytes ? bytes : undefined;',
  test: 'packages/archive/src/log/segment.test.ts',
};
