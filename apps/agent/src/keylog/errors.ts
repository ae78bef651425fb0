import { defineErrors } from '@holdfast/base';

/**
 * What an agent may find wrong with the key log it is shown. What is corrupt is kept as evidence, and said from then on;
 * what is unavailable is said for as long as it lasts.
 */
export const keyLogErrors = defineErrors('key_log', {
  head_unsigned: ['corrupt', 'The server showed a head of the key log that is not signed by the key of this tenant'],
  forked: ['corrupt', 'The server showed a key log that is not the one this computer saw before'],
  shrunk: ['corrupt', 'The server showed a key log that is shorter than it was'],
  too_long: ['corrupt', 'The server showed a key log that grew by more than one can'],
  leaf_altered: [
    'corrupt',
    'The leaves of the key log that the server showed are not those that its head is signed for',
  ],
  leaf_hidden: ['corrupt', 'The server did not show a leaf of the key log that is about this computer'],
  foreign_escrow_keys: [
    'corrupt',
    'The key log does not have the escrow keys that this computer was given when it enrolled',
  ],
  foreign_key: ['corrupt', 'The key log has a key for this computer that this computer did not register'],
  book_damaged: ['corrupt', 'What this computer knew of the key log was damaged; it was set aside and is read anew'],
  cosignature_false: [
    'corrupt',
    'The server showed a head of the key log with a false cosignature of a witness that this computer demands',
  ],
  keystore_unsigned: [
    'corrupt',
    'The server showed a head of the key log as followed by the keystore, and the keystore of this tenant did not sign it',
  ],
  withheld: ['unavailable', 'The server showed a head of the key log, and not all leaves up to it'],
  unchecked: ['unavailable', 'The key log could not be checked'],
  unwitnessed: [
    'unavailable',
    'A witness that this computer demands has cosigned nothing of the key log for a day, and it has grown',
  ],
  unfollowed: [
    'unavailable',
    'The keystore has not followed for a day what the key log has: it may not know that a key has ended',
  ],
  daily_missing: ['unavailable', 'The key log has no new leaf over the heads of all archives, which comes every day'],
});

/** What may be wrong with a witness that a person names. */
export const keyWitnessErrors = defineErrors('key_witness', {
  malformed: ['invalid', 'It is not the key of a witness'],
  known: ['conflict', 'This computer demands a witness of that name already'],
  not_found: ['not_found', 'This computer demands no witness of that name'],
  too_many: ['conflict', 'This computer demands as many witnesses as one can'],
});
