import { defineOperation } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { TriesAnswer, TriesAsked } from './release-shapes.ts';

/** Shows that escrow slots open. */
export const prove = defineOperation({
  request: TriesAsked,
  reply: TriesAnswer,
  maxBodyBytes: 4_194_304,
  isRepeatable: true,
  // Its shapes alone, for whoever calls it: the work follows.
  work: () => Promise.reject(keystoreErrors.unknown_form({ field: 'operation' })),
});
