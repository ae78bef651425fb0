/** Takes a witness that has seen a longer log for one that is mistaken. */
export const mutant = {
  file: 'apps/cloud/src/modules/witnesses/witness-head.ts',
  find: 'throw witnessErrors.set_back(about);',
  replace: 'throw witnessErrors.garbled(about);',
  test: 'apps/cloud/src/modules/witnesses/witnessing.db.test.ts',
};
