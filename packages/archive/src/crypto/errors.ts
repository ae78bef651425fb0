import { defineErrors } from '@holdfast/base';

/** What can go wrong when sealed bytes are opened. */
export const sealErrors = defineErrors('seal', {
  not_authentic: [
    'corrupt',
    'Sealed bytes do not open: they are damaged, or were sealed with another key or for another place',
  ],
});
