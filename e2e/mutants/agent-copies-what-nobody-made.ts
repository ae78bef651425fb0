/** Copies a record from one destination to another on its checksum alone where it names an epoch that nobody has. */
export const mutant = {
  file: 'packages/archive/src/format/seal.node.ts',
  find: 'return keyFor(header.kind, header.epoch, keys) !== undefined && !isAltered(bytes, keys);',
  replace: 'return keyFor(header.kind, header.epoch, keys) !== undefined || !isAltered(bytes, keys);',
  test: 'packages/archive/src/format/seal.test.ts',
};
