/** Lets the api role remove cosignatures. */
export const mutant = {
  file: 'apps/cloud/migrations/postgres/0015_witnesses.sql',
  find: 'grant select, insert on log_cosignatures, log_witness_faults to hf_api;',
  replace: 'grant select, insert, delete on log_cosignatures, log_witness_faults to hf_api;',
  test: 'apps/cloud/src/rls.db.test.ts',
};
