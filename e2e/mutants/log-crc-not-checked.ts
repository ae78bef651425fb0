/** Takes records whose checksum does not hold. */
export const mutant = {
  file: 'packages/archive/src/log/record-frame.ts',
  find: 'return verifyRecordCrc(bytes, at, parseRecordHeader(bytes, at), crc32);',
  replace: 'return verifyRecordCrc(bytes, at, parseRecordHeader(bytes, at), crc32) || bytes.length > 0;',
  test: 'packages/archive/src/log/archive-folder.system.test.ts',
};
