import { defineErrors } from '@holdfast/base';

/** What may be wrong between a key log and a witness. What is corrupt is kept, and recorded in the tenant's audit log. */
export const witnessErrors = defineErrors('witness', {
  away: ['unavailable', 'The witness does not answer'],
  garbled: ['unavailable', 'What the witness answers is no answer'],
  unknown_log: ['not_found', 'The witness does not know the key log of the tenant'],
  refused: ['forbidden', 'The witness does not accept the key of the key log of the tenant'],
  set_back: ['corrupt', 'The witness has seen a longer key log of the tenant than there is here: it was set back'],
  forked: ['corrupt', 'The witness has seen another key log of the tenant than the one that is here'],
});
