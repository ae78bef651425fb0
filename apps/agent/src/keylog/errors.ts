import { defineErrors } from '@holdfast/base';

/** What an agent may find wrong with the key log it is shown. Each is kept as evidence, and said until the device is enrolled anew. */
export const keyLogErrors = defineErrors('key_log', {
  head_unsigned: ['corrupt', 'The server showed a head of the key log that is not signed by the key of this tenant'],
  forked: ['corrupt', 'The server showed a key log that is not the one this computer saw before'],
  shrunk: ['corrupt', 'The server showed a key log that is shorter than it was'],
  leaf_altered: [
    'corrupt',
    'The leaves of the key log that the server showed are not those that its head is signed for',
  ],
  leaf_hidden: ['corrupt', 'The server did not show a leaf of the key log that is about this computer'],
});
