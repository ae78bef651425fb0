import { defineOperation } from './operation.ts';
import { keystoreErrors } from './errors.ts';
import { KnownRulesAnswer, OfTenant } from './release-shapes.ts';

/** Tells the rules of release. */
export const releaseRules = defineOperation({
  request: OfTenant,
  reply: KnownRulesAnswer,
  maxBodyBytes: 1_024,
  isRepeatable: true,
  // Its shapes alone, for whoever calls it: the work follows.
  work: () => Promise.reject(keystoreErrors.unknown_form({ field: 'operation' })),
});
