/** Believes whatever an archive folder says of its segments, if the checksum is right. */
export const mutant = {
  file: 'packages/archive/src/log/catalogue.ts',
  find: 'isSegmentSummary(value) ? value : undefined',
  replace: '(value as SegmentSummary)',
  test: 'packages/archive/src/log/bad-folder.system.test.ts',
};
