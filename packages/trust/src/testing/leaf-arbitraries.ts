import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import {
  formatRulesChange,
  signReleaseApproval,
  signReleaseRequest,
  type KeyLogLeaf,
  type Release,
  type ReleaseApproval,
  type ReleaseRequest,
  type ReleaseRules,
  type RulesChange,
  type Sign,
} from '../index.ts';

/** Some bytes. */
export const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Some bytes, hex. */
export const hex = (length: number) => bytes(length).map((value) => value.toHex());
/** Some bytes, base64url. */
export const base64Url = (length: number) => bytes(length).map((value) => Buffer.from(value).toString('base64url'));
/** Any UUID. */
export const uuid = fc.uuid();
const date = fc.date({ min: new Date('2000-01-01'), max: new Date('2999-12-31'), noInvalidDate: true });
const instant = date.map((at) => at.toISOString());
const day = date.map((at) => at.toISOString().slice(0, 10));
const about = { at: instant, nonce: base64Url(16) };

/** A new Ed25519 key: what signs with it, and its public half, base64url. */
export function newSigner(): { readonly publicKey: string; readonly sign: Sign } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { publicKey: publicKey.export({ format: 'jwk' }).x!, sign: (message) => sign(null, message, privateKey) };
}

const signer = newSigner();

/** Any request that the one key of this file can sign. */
export const anyRequest: fc.Arbitrary<ReleaseRequest> = record({
  version: fc.constant(1 as const),
  installationId: uuid,
  tenantUid: uuid,
  archiveId: uuid,
  keyringSha256: hex(32),
  slotId: hex(16),
  scope: fc.constantFrom('read' as const, 'ring' as const),
  epochs: fc.oneof(
    fc.constant('all' as const),
    fc.uniqueArray(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 9 }).map(rising),
  ),
  caseId: fc.option(fc.stringMatching(/^[\w.:-]{1,100}$/)),
  reason: fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
    .filter((text) => /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u.test(text)),
  requesterKey: fc.constant(signer.publicKey),
  recipientKey: base64Url(32),
  expiresAt: instant,
  requestId: base64Url(16),
}).map((request) => (request.scope === 'ring' ? { ...request, epochs: 'all' as const } : request));

/** Any approval that the one key of this file can sign. */
export const anyApproval: fc.Arbitrary<ReleaseApproval> = record({
  version: fc.constant(1 as const),
  requestSha256: hex(32),
  approverKey: fc.constant(signer.publicKey),
  at: instant,
});

const rule = record({
  approvals: fc.integer({ min: 0, max: 16 }),
  delayHours: fc.integer({ min: 0, max: 720 }),
  notice: fc.constantFrom('owner' as const, 'everyone' as const),
});

/** Any rules of release. */
export const anyRules: fc.Arbitrary<ReleaseRules> = record({
  own_restore: rule,
  admin_restore: rule,
  replacement: rule,
});

/** Any change of the rules. */
export const anyRulesChange: fc.Arbitrary<RulesChange> = record({
  version: fc.constant(1 as const),
  installationId: uuid,
  tenantUid: uuid,
  number: fc.integer({ min: 1 }),
  rules: anyRules,
});

/** Signs with the one key of this file. */
export const signRequest = (request: ReleaseRequest) => signReleaseRequest(request, signer.sign);
/** Signs with the one key of this file. */
export const signApproval = (approval: ReleaseApproval) => signReleaseApproval(approval, signer.sign);

const holder = fc.record({ kind: fc.constantFrom('device' as const, 'person' as const), uid: uuid });
const approvals = fc.array(anyApproval.map(signApproval), { maxLength: 2 });

const release: fc.Arbitrary<Release> = fc
  .record({
    ...about,
    kind: fc.constant('release' as const),
    request: anyRequest,
    requester: holder,
    purpose: fc.constantFrom('own_restore' as const, 'admin_restore' as const, 'replacement' as const),
    notice: fc.constantFrom('owner' as const, 'everyone' as const),
    ownerSignature: fc.option(base64Url(64)),
    approvals,
  })
  .map(({ request, ...leaf }) => ({ ...leaf, archiveId: request.archiveId, request: signRequest(request) }));

/** Any leaf of the key log. */
export const anyLeaf: fc.Arbitrary<KeyLogLeaf> = fc.oneof(
  release,
  fc.record({ ...about, kind: fc.constant('key_registered' as const), deviceUid: uuid, publicKey: base64Url(32) }),
  fc.record({
    ...about,
    kind: fc.constant('key_ended' as const),
    deviceUid: uuid,
    publicKey: base64Url(32),
    archiveId: fc.option(uuid),
  }),
  fc.record({
    ...about,
    kind: fc.constant('person_key_registered' as const),
    userUid: uuid,
    publicKey: base64Url(32),
    mayApprove: fc.boolean(),
  }),
  fc.record({ ...about, kind: fc.constant('person_key_ended' as const), userUid: uuid, publicKey: base64Url(32) }),
  fc.record({
    ...about,
    kind: fc.constant('key_vouched' as const),
    holder,
    publicKey: base64Url(32),
    by: holder,
    byKey: base64Url(32),
    signature: base64Url(64),
  }),
  fc.record({
    ...about,
    kind: fc.constant('keyring_added' as const),
    archiveId: uuid,
    keyringNumber: fc.integer({ min: 1 }),
    keyringSha256: hex(32),
    slots: fc.array(fc.record({ slotId: hex(16), slotKind: fc.nat() }), { maxLength: 5 }),
  }),
  fc.record({
    ...about,
    kind: fc.constant('daily_heads' as const),
    day,
    archives: fc.integer({ min: 1 }),
    root: hex(32),
  }),
  fc.record({
    ...about,
    kind: fc.constant('escrow_keys_set' as const),
    number: fc.integer({ min: 1 }),
    sha256: hex(32),
  }),
  fc.record({
    ...about,
    kind: fc.constant('release_refused' as const),
    archiveId: uuid,
    requestSha256: hex(32),
    code: fc.stringMatching(/^[a-z_0-9]{1,40}\.[a-z_0-9]{1,40}$/),
  }),
  fc.record({
    ...about,
    kind: fc.constant('release_rules' as const),
    change: anyRulesChange.map(formatRulesChange),
    approvals,
  }),
  fc.record({
    ...about,
    kind: fc.constant('escrow_tried' as const),
    day,
    slots: fc.integer({ min: 1 }),
    root: hex(32),
  }),
);

function rising(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((a, b) => a - b);
}

/** Objects as a reader gives them. */
function record<T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}
