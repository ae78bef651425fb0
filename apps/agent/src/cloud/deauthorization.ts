import { createHash } from 'node:crypto';
import { CodedError } from '@holdfast/base';
import { DeauthorizedDetails, deviceErrors } from '@holdfast/contract';
import { canonicalJson, openDeauthorization, parseVerifierKey } from '@holdfast/trust';
import type { Enrollment } from './enrollment-store.ts';
import { cloudErrors } from './errors.ts';

/**
 * What a refusal is worth: one that says, and proves, that this device was deauthorised is returned as it is, and so is any
 * other error. One that only says so becomes `cloud_link.deauthorization_unproven`.
 *
 * Proved means: a statement about this very enrolment, signed with the key of the tenant's log, whose hash came with the
 * enrolment token. A server's certificate, or a proxy's, proves nothing here.
 */
export function judgeRefusal(error: unknown, enrollment: Enrollment): unknown {
  if (!isDeauthorized(error)) return error;
  try {
    const { statement } = DeauthorizedDetails.parse(error.details);
    const { installationId, tenantUid, deviceUid, logKey } = enrollment;
    const identity = { installationId, tenantUid, deviceUid, keyThumbprint: thumbprintOf(enrollment) };
    openDeauthorization(statement, identity, [parseVerifierKey(logKey)]);
    return error;
  } catch (cause) {
    return cloudErrors.deauthorization_unproven({}, cause);
  }
}

/** Whether an error says that this device was deauthorised; proved where it comes from a `CloudClient`. */
export function isDeauthorized(error: unknown): error is CodedError {
  return error instanceof CodedError && error.code === deviceErrors.deauthorized.code;
}

/** The RFC 7638 thumbprint of the device's key. */
function thumbprintOf({ deviceKey: { crv, kty, x } }: Enrollment): string {
  return createHash('sha256').update(canonicalJson({ crv, kty, x })).digest('base64url');
}
