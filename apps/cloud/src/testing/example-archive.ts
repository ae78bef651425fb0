import { ArchiveMaker, escrowSlot } from '@holdfast/archive/testing';
import { formatUuid, systemRandom } from '@holdfast/base';
import { sealingKeysOf } from '@holdfast/trust';
import { findEscrowKeys } from '../modules/escrow/index.ts';
import { sendRaw, type RawReply } from './raw-request.ts';
import { deviceProof, type Proof, type TenantWorld } from './test-world.ts';

/** The archive of a world's device, begun on the server, and what makes its records. */
export type ExampleArchive = {
  readonly archiveId: string;
  readonly maker: ArchiveMaker;
  /** A keyring that follows the newest one the server has. */
  nextKeyring(): Promise<Uint8Array>;
  /** A record that was never sent. */
  newBlock(rawBytes?: number): Uint8Array;
  /** Opens a session; returns what it begins with. */
  openSession(): Promise<{ session: number; nextFragment: number }>;
  /** Opens a session and gives a function that appends fragments to it; it says `stored`, or why not. */
  openAppending(): Promise<(body: Uint8Array) => Promise<string>>;
};

const time = { seconds: 1_780_000_000, nanoseconds: 0 };
const begun = new WeakMap<TenantWorld, Promise<ExampleArchive>>();

/** The archive of a world's device, made the first time. */
export function exampleArchive(world: TenantWorld): Promise<ExampleArchive> {
  const archive = begun.get(world) ?? begin(world);
  begun.set(world, archive);
  return archive;
}

async function begin(world: TenantWorld): Promise<ExampleArchive> {
  const maker = new ArchiveMaker(systemRandom(8).toHex(), systemRandom(32));
  maker.addEpoch(time);
  maker.slots = [...maker.slots, escrowSlot(maker, await escrowKeysOf(world))];
  let keyring: Uint8Array = maker.keyring(time).bytes;
  const proof = await deviceProof(world, 'storage');
  const send = (method: string, path: string, body?: object) => sendAs(world, proof, { method, path, body });
  const keys = { header: base64(maker.records[0]!.bytes), keyring: base64(keyring) };
  const made = await send('POST', '/v1/archives', keys);
  if (made.status !== 201) throw new Error(`the archive was not begun: ${made.text}`);
  const archiveId = formatUuid(maker.archiveId);
  const openSession = async () => {
    const reply = await send('POST', `/v1/archives/${archiveId}/sessions`, { known: null });
    if (reply.status !== 201) throw new Error(`no session was opened: ${reply.text}`);
    return reply.json as { session: number; nextFragment: number };
  };
  return {
    archiveId,
    maker,
    openSession,
    async openAppending() {
      const opened = await openSession();
      const { session } = opened;
      let { nextFragment } = opened;
      return async (body) => {
        const path = `/v1/archives/${archiveId}/fragments?session=${session}&sequence=${nextFragment}`;
        const headers = { ...(await proof({ method: 'POST', path })), 'content-type': 'application/octet-stream' };
        const reply = await sendRaw(world.cloud.url, { method: 'POST', path, headers, body });
        if (reply.status !== 200) return (reply.json as { code: string }).code;
        nextFragment++;
        return 'stored';
      };
    },
    async nextKeyring() {
      const reply = await send('GET', '/v1/archives');
      const { archives } = reply.json as { archives: { keyring: { number: number } }[] };
      if (archives[0]?.keyring.number === maker.keyringNumber) keyring = maker.keyring(time).bytes;
      return keyring;
    },
    newBlock(rawBytes = 1_000) {
      maker.store('block', systemRandom(rawBytes));
      return maker.records.at(-1)?.bytes ?? new Uint8Array();
    },
  };
}

/** The public keys of a tenant's escrow, as devices are given them. */
export async function escrowKeysOf({ cloud, tenant: { tenantUid: tenantId } }: Pick<TenantWorld, 'cloud' | 'tenant'>) {
  const document = await cloud.database.withTenant(tenantId, (tx) => findEscrowKeys(tx, tenantId));
  return sealingKeysOf(document ?? '');
}

/** Sends a request as somebody, with a JSON body or none. */
export async function sendAs(
  { cloud }: Pick<TenantWorld, 'cloud'>,
  proof: Proof,
  { method, path, body }: { readonly method: string; readonly path: string; readonly body?: object | undefined },
): Promise<RawReply> {
  const headers = await proof({ method, path });
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  return sendRaw(cloud.url, { method, path, headers: { ...headers, ...json }, ...sent });
}

/** Bytes as base64. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** Ordinals as the body of a read. */
export function ordinalBytes(ordinals: readonly number[]): Buffer {
  const body = Buffer.alloc(ordinals.length * 6);
  for (const [i, ordinal] of ordinals.entries()) body.writeUIntLE(ordinal, i * 6, 6);
  return body;
}
