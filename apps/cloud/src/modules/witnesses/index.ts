/**
 * Witnesses: others, outside of this system, who cosign the heads of tenants' key logs, and by that say that they have seen
 * no other.
 *
 * Owns tables `log_cosignatures`, `log_witness_faults`. Invariants: what is kept of a witness was checked under its key; a
 * cosignature, and that a witness has seen another log, are never changed or removed.
 * Not guaranteed: that a witness tells what it has seen, or that it is who it is said to be: agents decide whom they believe.
 */
export { listCosignedHeads } from './cosigned-heads.ts';
export { keepWitnessing } from './keep-witnessing.ts';
export { listFaults, listNewestCosignatures, tables as witnessTables } from './store.ts';
export { createWitnessEgress, parseWitnesses, type Witness } from './witness.ts';
