import { defineOperation } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { FollowedOutcome, FollowedPiece } from './release-shapes.ts';

/** Goes on in a tenant's key log. */
export const follow = defineOperation({
  request: FollowedPiece,
  reply: FollowedOutcome,
  maxBodyBytes: 1_048_576,
  isRepeatable: true,
  // Its shapes alone, for whoever calls it: the work follows.
  work: () => Promise.reject(keystoreErrors.unknown_form({ field: 'operation' })),
});
