import { defineErrors } from '@holdfast/base';
import { z } from 'zod';
import { PolicySettings } from './policies.ts';
import { defineRoute, nothing, open } from './route.ts';
import { base64UrlBytes, DisplayName, Instant, Sha256Hex } from './shapes.ts';

/**
 * What an agent is given to enrol with, by file or standard input: an invitation, and what it must find at the address.
 *
 * With it the agent trusts nothing on first use. Whoever holds it can add a device while it lasts, and see nothing.
 */
export const EnrollmentToken = z.strictObject({
  version: z.literal(1),
  /** Where the server is, without a final slash; agents take `https:` alone. */
  url: z.url({ protocol: /^https?$/, error: 'it must be an address such as https://backup.example.org' }),
  installationId: z.uuid(),
  tenantUid: z.uuid(),
  /** 256 random bits. */
  token: base64UrlBytes(32),
  /** SHA-256 of the DER form of the CA's certificate; null where the system's own list of CAs counts. */
  caSha256: Sha256Hex.nullable(),
  /** SHA-256 of the verifier key (its text) of the tenant's log. */
  logKeySha256: Sha256Hex,
  /** SHA-256 of the tenant's escrow keys (their document). */
  escrowKeysSha256: Sha256Hex,
});
export type EnrollmentToken = z.infer<typeof EnrollmentToken>;

/** An invitation as administrators see it; the token itself is shown only when it is made. */
export const EnrollmentTokenFacts = z.object({
  tokenId: z.uuid(),
  orgGuid: z.uuid(),
  usesLeft: z.number().int(),
  createdAt: Instant,
  expiresAt: Instant,
  revokedAt: Instant.nullable(),
});
export type EnrollmentTokenFacts = z.infer<typeof EnrollmentTokenFacts>;

/** Failures about invitations. */
export const enrollmentErrors = defineErrors('enrollment', {
  org_not_found: ['not_found', 'Org not found'],
  token_not_found: ['not_found', 'Enrolment token not found'],
  token_unknown: ['unauthenticated', 'The enrolment token is not one of this server'],
  token_used: ['conflict', 'The enrolment token has been used as often as it may be'],
  token_expired: ['conflict', 'The enrolment token has expired'],
  token_revoked: ['conflict', 'The enrolment token was revoked'],
  proof_invalid: ['invalid', 'The device did not prove that it holds its key'],
  keys_not_made: ['unavailable', 'The escrow keys of the tenant are not made yet: the keystore of the server is away'],
});

/** Failures about devices. */
export const deviceErrors = defineErrors('devices', {
  not_found: ['not_found', 'Device not found'],
  key_taken: ['conflict', 'Another device has this key; every device makes its own'],
  deauthorized: ['unauthenticated', 'This device was deauthorised: its keys, queue and index are to be removed'],
});

/**
 * What `devices.deauthorized` has in its details where the server can prove it: a statement that it signed with the key of
 * the tenant's log when the device was deauthorised. A device removes its keys on no other word.
 */
export const DeauthorizedDetails = z.object({ statement: z.string().max(4096) });

/** The public half of a device's key (RFC 8037). */
export const DevicePublicJwk = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: base64UrlBytes(32),
});
export type DevicePublicJwk = z.infer<typeof DevicePublicJwk>;

const oneToken = z.object({ tokenId: z.uuid() });

/** Routes of invitations. */
export const enrollmentRoutes = {
  create: defineRoute({
    method: 'POST',
    path: '/v1/enrollment-tokens',
    summary: 'Make an enrolment token; the reply shows it for the only time',
    permission: 'enrollment.write',
    body: z.strictObject({
      /** The org devices come into; the root org when absent. */
      orgGuid: z.uuid().optional(),
      uses: z.number().int().min(1).max(100_000).default(1),
      days: z.number().int().min(1).max(365).default(7),
    }),
    status: 201,
    reply: EnrollmentTokenFacts.extend({ enrollmentToken: EnrollmentToken }),
    errors: [enrollmentErrors.org_not_found, enrollmentErrors.keys_not_made],
  }),
  list: defineRoute({
    method: 'GET',
    path: '/v1/enrollment-tokens',
    summary: 'List enrolment tokens, spent ones included',
    permission: 'enrollment.write',
    status: 200,
    reply: z.object({ enrollmentTokens: z.array(EnrollmentTokenFacts) }),
  }),
  revoke: defineRoute({
    method: 'DELETE',
    path: '/v1/enrollment-tokens/:tokenId',
    summary: 'Revoke an enrolment token; devices that came by it stay',
    permission: 'enrollment.write',
    params: oneToken,
    status: 204,
    reply: nothing,
    errors: [enrollmentErrors.token_not_found],
  }),
};

/** What a device is told when it is enrolled. */
export const EnrolledDevice = z.object({
  deviceUid: z.uuid(),
  orgUid: z.uuid(),
  tenantUid: z.uuid(),
  installationId: z.uuid(),
  /** The verifier key of the tenant's log; the enrolment token has its SHA-256. */
  logKey: z.string(),
  /** The tenant's escrow keys (a document of canonical JSON); the enrolment token has their SHA-256. */
  escrowKeys: z.string().max(2_048),
  serverTime: Instant,
});
export type EnrolledDevice = z.infer<typeof EnrolledDevice>;

/** The text a device signs with its new key to enrol, before the three values that follow it. */
export const ENROLLMENT_PROOF_LABEL = 'holdfast v1 enrolment\0';

/** Routes of devices. */
export const deviceRoutes = {
  enroll: defineRoute({
    method: 'POST',
    path: '/v1/devices/enroll',
    summary: 'Enrol a device by a token and the key it has made',
    permission: open('the enrolment token in the request is what is checked'),
    body: z.strictObject({
      token: z.string().min(1).max(200),
      publicJwk: DevicePublicJwk,
      /** Ed25519 over the label, the installation id (16 bytes), the SHA-256 of the token and the public key. */
      proof: base64UrlBytes(64),
      /** Random, made with the key: a request sent again after a lost answer is known by it. */
      attempt: base64UrlBytes(16),
      hostname: DisplayName,
      os: DisplayName,
      agentVersion: DisplayName,
    }),
    maxBodyBytes: 16_384,
    status: 201,
    reply: EnrolledDevice,
    errors: [...Object.values(enrollmentErrors), deviceErrors.key_taken, deviceErrors.deauthorized],
  }),
  token: defineRoute({
    method: 'POST',
    path: '/v1/devices/token',
    summary: "Exchange an assertion signed by a device's key for an access token bound to that key",
    permission: open('the assertion in the request is what is checked'),
    body: z.strictObject({
      /** RFC 7523, EdDSA: `iss` and `sub` are the device, `aud` the installation id, `nonce` one of this server. */
      assertion: z.string().min(1).max(4096),
      /** The server role that will accept the token. */
      audience: z.enum(['api', 'storage']),
    }),
    maxBodyBytes: 16_384,
    status: 200,
    reply: z.object({
      token_type: z.literal('DPoP'),
      /** Seconds the token lives. */
      expires_in: z.number().int(),
      access_token: z.string(),
    }),
    errors: [deviceErrors.deauthorized],
  }),
  heartbeat: defineRoute({
    method: 'POST',
    path: '/v1/devices/heartbeat',
    summary: 'Say that the device runs, and read what is decided for it',
    permission: 'archive.own',
    principals: ['device'],
    body: z.strictObject({
      agentVersion: DisplayName,
      os: DisplayName,
      /** The head of the key log that the device verified last: where it was shown another log, that shows here. */
      keyLogHead: z.string().max(4_096).optional(),
    }),
    status: 200,
    reply: z.object({
      serverTime: Instant,
      orgUid: z.uuid(),
      /** A blocked device goes on backing up; nobody restores on it. */
      blocked: z.boolean(),
      settings: PolicySettings,
    }),
    errors: [deviceErrors.deauthorized],
  }),
  deauthorize: defineRoute({
    method: 'POST',
    path: '/v1/devices/:deviceUid/deauthorize',
    summary: 'Deauthorise a device: it may do nothing any more and removes its keys; its archive stays',
    permission: 'devices.write',
    params: z.object({ deviceUid: z.uuid() }),
    status: 204,
    reply: nothing,
    errors: [deviceErrors.not_found],
  }),
};
