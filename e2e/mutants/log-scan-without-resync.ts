/** Stops scanning a segment at the first damage. */
export const mutant = {
  file: 'packages/archive/src/log/scan.ts',
  find: 'at = await window.findMagic(at + 1);',
  replace: 'at = end;',
  test: 'packages/archive/src/log/segment.test.ts',
};
