/** What tests of others need of this package: a witness of heads, and its signing. */
export { newCosigner, type Cosigner } from './cosigner.ts';
export { TestWitness, type WitnessReply } from './test-witness.ts';
