import { defineOperation } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { ReleaseAnswer, ReleaseAsked } from './release-shapes.ts';

/** Releases keys of an archive. */
export const release = defineOperation({
  request: ReleaseAsked,
  reply: ReleaseAnswer,
  maxBodyBytes: 2_097_152,
  isRepeatable: true,
  // Its shapes alone, for whoever calls it: the work follows.
  work: () => Promise.reject(keystoreErrors.unknown_form({ field: 'operation' })),
});
