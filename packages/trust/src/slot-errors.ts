import { defineErrors } from '@holdfast/base';

/** Failures of opening a slot. That a secret does not fit is not one of them: it is an answer. */
export const slotErrors = defineErrors('slot', {
  corrupt: ['corrupt', 'The secret fits the slot, but the ring key in it does not open'],
  bad_parameters: ['corrupt', 'The parameters of the slot are not as its kind has them'],
});
