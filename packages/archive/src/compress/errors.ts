import { defineErrors } from '@holdfast/base';

/** What can go wrong with a compressed payload. */
export const zstdErrors = defineErrors('zstd', {
  bad_frame: ['corrupt', 'A compressed payload is not one zstd frame of the expected size'],
});
