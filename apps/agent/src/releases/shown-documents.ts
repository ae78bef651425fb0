/**
 * What a server shows of a document that is to be approved, against the text of the document.
 *
 * Approvals name a text by its hash. What a server says beside it (names, states) is its word alone.
 */
import type { ReleaseState, RulesChangeState } from '@holdfast/contract';
import { parseReleaseRequest, parseRulesChange, releaseRequestSha256 } from '@holdfast/trust';
import { releaseClientErrors } from './errors.ts';

type Tenant = { readonly installationId: string; readonly tenantUid: string };

/**
 * A release as its request says it: under the hash of its text, for this tenant, about the archive that it names.
 *
 * @throws key_release.other_document, release.malformed_request
 */
export function shownRelease(tenant: Tenant, state: ReleaseState): ReleaseState {
  const { requestSha256 } = state;
  expectHash(requestSha256, state.request);
  const request = parseReleaseRequest(state.request);
  expectTenant(tenant, request, requestSha256);
  const isRing = state.purpose === 'replacement';
  if (request.archiveId !== state.archiveId) throw releaseClientErrors.other_document({ requestSha256 });
  if (isRing !== (request.scope === 'ring')) throw releaseClientErrors.other_document({ requestSha256 });
  return { ...state, expiresAt: request.expiresAt };
}

/** A change of the rules as its text says it. @throws key_release.other_document, release.malformed_rules */
export function shownChange(tenant: Tenant, state: RulesChangeState): RulesChangeState {
  const { changeSha256 } = state;
  expectHash(changeSha256, state.change);
  const change = parseRulesChange(state.change);
  expectTenant(tenant, change, changeSha256);
  return { ...state, number: change.number };
}

/** Expects a document under the hash of its text. @throws key_release.other_document */
export function expectHash(shown: string, text: string): void {
  const sha256 = releaseRequestSha256(text);
  if (shown !== sha256) throw releaseClientErrors.other_document({ shown, sha256 });
}

function expectTenant({ installationId, tenantUid }: Tenant, document: Tenant, sha256: string): void {
  if (document.installationId === installationId && document.tenantUid === tenantUid) return;
  throw releaseClientErrors.other_document({ sha256, tenantUid: document.tenantUid });
}
