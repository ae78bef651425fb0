import { randomUUID, sign } from 'node:crypto';
import { systemRandom } from '@holdfast/base';
import type { Takeover } from '@holdfast/contract';
import { signTakeoverProof, type TakeoverClaim, type TakeoverProof } from '@holdfast/trust';
import { exampleArchive, sendAs, type ExampleArchive } from './example-archive.ts';
import type { RawReply } from './raw-request.ts';
import { deviceProof, makeDevice, type TenantWorld, type TestDevice } from './test-world.ts';

/** An old device with an archive, and a new one that is to go on with it. */
export type ExampleTakeover = {
  /** The tenant with the old device. */
  readonly old: TenantWorld;
  readonly archive: ExampleArchive;
  /** The tenant with the new device. */
  readonly next: TenantWorld;
  /** What the old device hands over, but for the changes. */
  readonly claim: (changes?: Partial<TakeoverClaim>) => TakeoverClaim;
  /** Signed by the old device, or whom it names. */
  readonly handOver: (changes?: Partial<TakeoverClaim>, signer?: TestDevice) => TakeoverProof;
};

/** A new device beside those of a world. */
export async function withNewDevice(world: TenantWorld): Promise<TenantWorld> {
  return { ...world, device: await makeDevice(world, null) };
}

/** Makes both devices and the archive. */
export async function exampleTakeover(world: TenantWorld): Promise<ExampleTakeover> {
  const old = await withNewDevice(world);
  const next = await withNewDevice(world);
  const archive = await exampleArchive(old);
  const claim = (changes: Partial<TakeoverClaim> = {}): TakeoverClaim => ({
    kind: 'hand_over',
    installationId: world.cloud.api.installationId,
    tenantUid: world.tenant.tenantUid,
    archiveId: archive.archiveId,
    device: old.device.deviceId,
    newDeviceKey: keyOf(next.device),
    signerKey: keyOf(old.device),
    expiresAt: new Date(world.cloud.clock.now() + 60_000).toISOString(),
    proofId: Buffer.from(systemRandom(16)).toString('base64url'),
    ...changes,
  });
  const handOver: ExampleTakeover['handOver'] = (changes, signer = old.device) =>
    signAs(signer, claim({ signerKey: keyOf(signer), ...changes }));
  return { old, archive, next, claim, handOver };
}

/** A claim signed with a device's key. */
export function signAs(device: TestDevice, claim: TakeoverClaim): TakeoverProof {
  return signTakeoverProof(claim, (message) => sign(null, message, device.privateKey));
}

/** The public key of a device, base64url. */
export function keyOf({ publicJwk }: TestDevice): string {
  return publicJwk.x ?? '';
}

/** Asks for a takeover as the device of a world. */
export async function begin(world: TenantWorld, { text, signature }: TakeoverProof): Promise<RawReply> {
  const proof = await deviceProof(world, 'api');
  return sendAs(world, proof, { method: 'POST', path: '/v1/takeovers', body: { text, signature } });
}

/** What ends a takeover: the key of the next writer, and the keyring that was read. */
export function endingOf({ keyring }: Takeover, writerKey: Uint8Array = systemRandom(32)) {
  return { writerKey: Buffer.from(writerKey).toString('base64url'), keyringSha256: keyring.sha256 };
}

/** Ends a takeover as the device of a world. */
export async function complete(
  world: TenantWorld,
  takeoverUid: string,
  body: ReturnType<typeof endingOf>,
): Promise<RawReply> {
  const proof = await deviceProof(world, 'api');
  return sendAs(world, proof, { method: 'POST', path: `/v1/takeovers/${takeoverUid}/complete`, body });
}

/** A good request to begin a takeover, as the device that may. */
export async function exampleOfBegin(world: TenantWorld) {
  const { next, handOver } = await exampleTakeover(world);
  return { body: { ...handOver() }, browser: await asDevice(next) };
}

/** A good request to end one. */
export async function exampleOfComplete(world: TenantWorld) {
  const { next, handOver } = await exampleTakeover(world);
  const takeover = (await begin(next, handOver())).json as Takeover;
  const params = { takeoverUid: takeover.takeoverUid };
  return { params, body: endingOf(takeover), browser: await asDevice(next) };
}

async function asDevice(world: TenantWorld) {
  return { sessionId: randomUUID(), cookie: '', proof: await deviceProof(world, 'api') };
}
