import type { CodedError } from '@holdfast/base';
import { authErrors } from '@holdfast/contract';
import {
  calculateJwkThumbprint,
  EmbeddedJWK,
  errors,
  importJWK,
  jwtVerify,
  type JWK,
  type JWTVerifyOptions,
} from 'jose';
import { z } from 'zod';
import { sha256 } from '../../platform/digest.ts';
import type { Database } from '../../platform/postgres.ts';
import type { Nonces } from './nonces.ts';
import * as store from './store.ts';

/** How old a nonce may be in a proof of possession. */
export const PROOF_NONCE_MS = 300_000;
/** How old a nonce may be in an assertion that asks for a token. */
export const ASSERTION_NONCE_MS = 60_000;
/** Algorithms a device's key may have. */
export const PROOF_ALGORITHMS = ['EdDSA', 'ES256'] as const;

/** What checking proofs needs. */
export type ProofDeps = {
  readonly database: Database;
  readonly nonces: Nonces;
  /** Unix time for noting when a used proof may be forgotten. */
  readonly nowMs: () => number;
};

/** What a proof of possession must fit. */
export type ProofExpectation = {
  /** The tenant in which the proof counts as used. */
  readonly tenantId: string;
  readonly method: string;
  /** The address asked for, without query and fragment. */
  readonly url: string;
  readonly accessToken: string;
  /** The thumbprint the token is bound to. */
  readonly keyThumbprint: string;
};

const Identifier = z.string().min(8).max(256);
const ProofClaims = z.object({
  jti: Identifier,
  htm: z.string(),
  htu: z.string(),
  iat: z.number(),
  ath: z.string(),
  nonce: z.string().optional(),
});
const AssertionClaims = z.object({
  jti: Identifier,
  iss: z.string(),
  sub: z.string(),
  aud: z.string(),
  nonce: z.string().optional(),
});

/**
 * Verifies that whoever sent a token holds the key it is bound to (RFC 9449, 4.3), once: a proof seen before, by any
 * node, is refused.
 *
 * Freshness comes from the server's nonce alone, so a wrong clock on the device does not matter.
 * @returns the nonce the next proof should contain
 * @throws auth.invalid; auth.use_nonce with the nonce to use in `details.dpopNonce`
 */
export async function verifyProof(deps: ProofDeps, proof: string, expected: ProofExpectation): Promise<string> {
  const { payload, thumbprint } = await openProof(proof);
  const claims = ProofClaims.safeParse(payload);
  if (!claims.success) throw authErrors.invalid({ reason: 'the proof lacks a claim' });
  const { htm, htu, ath, jti, nonce } = claims.data;
  const fits =
    thumbprint === expected.keyThumbprint &&
    htm === expected.method &&
    sameAddress(htu, expected.url) &&
    ath === sha256(expected.accessToken).toString('base64url');
  if (!fits) throw authErrors.invalid({ reason: 'the proof is for another key, request or token' });
  await requireFresh(deps, nonce, PROOF_NONCE_MS);
  await useOnce(deps, expected.tenantId, { identifier: `proof ${thumbprint} ${jti}`, lifeMs: PROOF_NONCE_MS });
  return deps.nonces.make();
}

/** Who an assertion must come from and go to. */
export type AssertionExpectation = {
  readonly tenantId: string;
  /** The device: issuer and subject. */
  readonly deviceId: string;
  /** The installation id the device pinned when it enrolled. */
  readonly audience: string;
  /** The device's registered key. */
  readonly publicJwk: JWK;
};

/**
 * Verifies a device's assertion (RFC 7523) that asks for a token, once.
 *
 * It lives from the server's nonce on, for `ASSERTION_NONCE_MS`; the device's clock does not matter.
 * @throws auth.invalid; auth.use_nonce with the nonce to use in `details.dpopNonce`
 */
export async function verifyAssertion(
  deps: ProofDeps,
  assertion: string,
  expected: AssertionExpectation,
): Promise<void> {
  const payload = await verifySigned(assertion, expected.publicJwk);
  const claims = AssertionClaims.safeParse(payload);
  if (!claims.success) throw authErrors.invalid({ reason: 'the assertion lacks a claim' });
  const { iss, sub, aud, jti, nonce } = claims.data;
  const fits = iss === expected.deviceId && sub === expected.deviceId && aud === expected.audience;
  if (!fits) throw authErrors.invalid({ reason: 'the assertion is for another device or installation' });
  await requireFresh(deps, nonce, ASSERTION_NONCE_MS);
  await useOnce(deps, expected.tenantId, { identifier: `assertion ${sub} ${jti}`, lifeMs: ASSERTION_NONCE_MS });
}

/** The RFC 7638 thumbprint of a public key, which tokens are bound to. */
export function thumbprintOf(publicJwk: JWK): Promise<string> {
  return calculateJwkThumbprint(publicJwk, 'sha256');
}

/** `exp` and `iat` are the device's own times; what counts is the nonce. */
const withoutTimes = { algorithms: [...PROOF_ALGORITHMS], currentDate: new Date(0) } satisfies JWTVerifyOptions;

async function openProof(proof: string): Promise<{ payload: unknown; thumbprint: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { ...withoutTimes, typ: 'dpop+jwt' });
    return { payload, thumbprint: await thumbprintOf(protectedHeader.jwk!) };
  } catch (error) {
    throw refusal(error);
  }
}

async function verifySigned(assertion: string, publicJwk: JWK): Promise<unknown> {
  try {
    const { payload } = await jwtVerify(assertion, await importJWK(publicJwk, algorithmOf(publicJwk)), withoutTimes);
    return payload;
  } catch (error) {
    throw refusal(error);
  }
}

function algorithmOf(publicJwk: JWK): string {
  return publicJwk.kty === 'OKP' ? 'EdDSA' : 'ES256';
}

function refusal(error: unknown): unknown {
  const isRefusal = error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException;
  return isRefusal ? authErrors.invalid({ reason: 'the proof is not signed as it must be' }, error) : error;
}

async function requireFresh(deps: ProofDeps, nonce: string | undefined, maxAgeMs: number): Promise<void> {
  const ageMs = nonce === undefined ? undefined : await deps.nonces.ageMs(nonce);
  // Nodes' clocks differ a little, so a nonce may come from a moment ahead of ours.
  if (ageMs === undefined || ageMs > maxAgeMs || ageMs < -maxAgeMs) throw await askForNonce(deps);
}

async function askForNonce(deps: ProofDeps): Promise<CodedError> {
  return authErrors.use_nonce({ dpopNonce: await deps.nonces.make() });
}

async function useOnce(deps: ProofDeps, tenantId: string, use: { identifier: string; lifeMs: number }): Promise<void> {
  // Twice the life: a nonce from a node whose clock is ahead lives that much longer here.
  const expiresAt = new Date(deps.nowMs() + 2 * use.lifeMs);
  const row = { tenant_id: tenantId, proof_sha256: sha256(use.identifier), expires_at: expiresAt };
  const isFirst = await deps.database.withTenant(tenantId, (tx) => store.insertUsedProof(tx, row));
  if (!isFirst) throw authErrors.invalid({ reason: 'the proof was used before' });
}

function sameAddress(claimed: string, actual: string): boolean {
  const parsed = URL.canParse(claimed) ? new URL(claimed) : undefined;
  if (!parsed) return false;
  return `${parsed.origin}${parsed.pathname}` === new URL(actual).href;
}
