import { defineOperation } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { FollowedSize, OfTenant } from './release-shapes.ts';

/** Tells how many leaves of a tenant's key log were followed. @throws keystore.tenant_unknown */
export const followed = defineOperation({
  request: OfTenant,
  reply: FollowedSize,
  maxBodyBytes: 1_024,
  isRepeatable: true,
  // Its shapes alone, for whoever calls it: the work follows.
  work: () => Promise.reject(keystoreErrors.unknown_form({ field: 'operation' })),
});
