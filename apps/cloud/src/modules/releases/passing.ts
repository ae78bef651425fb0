import type { CodedError } from '@holdfast/base';
import { keystoreErrors } from '../../keystore/errors.ts';

/** What may be otherwise the next time: the release stays as it is. */
const passing: readonly string[] = [
  keystoreErrors.away.code,
  keystoreErrors.busy.code,
  keystoreErrors.fault.code,
  keystoreErrors.not_followed.code,
  keystoreErrors.older_head.code,
  keystoreErrors.forked_log.code,
  // By its clock, which may have seen the key some seconds later.
  keystoreErrors.young_key.code,
  keystoreErrors.young_approver.code,
];

/**
 * Whether a refusal of the keystore says nothing of the release, which is asked for again then.
 *
 * What the keys at rest are kept in refuses (`kms.*` and its kinds) is the operator's to mend, and no judgement.
 */
export function isPassing({ code, kind }: Pick<CodedError, 'code' | 'kind'>): boolean {
  return kind === 'unavailable' || passing.includes(code) || /^kms[._]/.test(code);
}
