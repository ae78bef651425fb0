import { generateKeyPairSync, sign } from 'node:crypto';
import { parseUuid, systemRandom } from '@holdfast/base';
import { ENROLLMENT_PROOF_LABEL, type DevicePublicJwk } from '@holdfast/contract';
import { SignJWT } from 'jose';
import { sha256 } from '../platform/digest.ts';
import type { TenantWorld, TestDevice } from './test-world.ts';

/** The body of a good request to enrol a new device, with an invitation of its own unless one is given. */
export async function makeEnrollment(
  { cloud, tenant }: Pick<TenantWorld, 'cloud' | 'tenant'>,
  given: { readonly token?: string } = {},
) {
  const token = given.token ?? (await newToken({ cloud, tenant }));
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicJwk = publicKey.export({ format: 'jwk' }) as DevicePublicJwk;
  const { kty, crv, x } = publicJwk;
  const parts = [
    Buffer.from(ENROLLMENT_PROOF_LABEL),
    parseUuid(cloud.api.installationId)!,
    sha256(token),
    Buffer.from(x, 'base64url'),
  ];
  const proof = sign(undefined, Buffer.concat(parts), privateKey).toString('base64url');
  const attempt = Buffer.from(systemRandom(16)).toString('base64url');
  const about = { hostname: 'laptop', os: 'Linux 6.1', agentVersion: '0.1.0' };
  return { privateKey, body: { token, publicJwk: { kty, crv, x }, proof, attempt, ...about } };
}

async function newToken({ cloud, tenant }: Pick<TenantWorld, 'cloud' | 'tenant'>): Promise<string> {
  return (await cloud.clientOf(tenant).enrollmentTokens.create({ body: {} })).enrollmentToken.token;
}

/** A device's assertion that asks for a token; claims given in `changes` replace the right ones. */
export async function makeAssertion(
  { cloud }: Pick<TenantWorld, 'cloud'>,
  device: Pick<TestDevice, 'deviceId' | 'privateKey'>,
  changes: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const { deviceId } = device;
  const jti = Buffer.from(systemRandom(16)).toString('base64url');
  const nonce = await cloud.api.nonces.make();
  const claims = { iss: deviceId, sub: deviceId, aud: cloud.api.installationId, jti, nonce, ...changes };
  return new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA' }).sign(device.privateKey);
}
