/** Devices with escrow slots of any make, and what trying them needs, for tests of the try and of what follows from it. */
import assert from 'node:assert/strict';
import { type ArchiveMaker, escrowSlot } from '@holdfast/archive/testing';
import { manualClock, systemRandom } from '@holdfast/base';
import { hpkeKeyId, importHpkeKey } from '@holdfast/trust';
import { silentLog, type Log } from '../platform/log.ts';
import { writeAudit } from '../modules/audit/index.ts';
import type { TryDeps } from '../modules/escrow/index.ts';
import { escrowKeysOf, exampleArchive, type ExampleArchive } from './example-archive.ts';
import { leavesOf } from './key-log-leaves.ts';
import type { TestCloud } from './test-cloud.ts';
import { makeDevice, type TenantWorld } from './test-world.ts';

const time = { seconds: 1_780_000_000, nanoseconds: 0 };
type Slot = ArchiveMaker['slots'][number];

/** What trying the slots of a server needs, on a clock of its own, with what was said of it in the log. */
export function tryDepsOf(cloud: TestCloud, change: Partial<TryDeps> = {}) {
  const clock = manualClock(cloud.clock.now());
  const said: object[] = [];
  const log: Log = { ...silentLog, error: (facts) => said.push(facts), warn: (facts) => said.push(facts) };
  const { keystore, kms } = cloud.bootstrap;
  const { installationId } = cloud.api;
  const readKeyring = cloud.storage.findKeyring.bind(cloud.storage);
  const own = { writeAudit, database: cloud.system, kms, installationId, clock, keystore, readKeyring, log };
  const deps: TryDeps = { ...own, ...change };
  return { deps, clock, said };
}

/** How slots can be made that say that they are for the tenant's keys and do not open, by what is wrong with them. */
export const rottenSlots: Readonly<
  Record<string, (maker: ArchiveMaker, keys: Awaited<ReturnType<typeof escrowKeysOf>>) => Slot>
> = {
  'bytes that nothing opens': (maker, keys) => {
    const slot = escrowSlot(maker, keys);
    const parameters = Uint8Array.from(slot.parameters!);
    parameters[parameters.length - 1]! ^= 1;
    return { ...slot, parameters };
  },
  'an inner layer for another keystore': (maker, keys) => {
    const strange = Uint8Array.from(importHpkeKey(systemRandom(32)).publicKey);
    const slot = escrowSlot(maker, { ...keys, keystoreKey: strange });
    const parameters = Buffer.from(slot.parameters!);
    parameters.set(hpkeKeyId(keys.keystoreKey), parameters.indexOf(hpkeKeyId(strange)));
    return { ...slot, parameters: Uint8Array.from(parameters) };
  },
  'the key of another slot': (maker, keys) => ({ ...escrowSlot(maker, keys), slotKey: systemRandom(32) }),
};

/** A device of a tenant whose archive has begun with a slot that opens, and a session to write to it. */
export async function escrowedDevice(world: TenantWorld) {
  const own: TenantWorld = { ...world, device: await makeDevice(world, world.member.userId) };
  const archive: ExampleArchive = await exampleArchive(own);
  const { maker } = archive;
  const [ours, escrow] = maker.slots as [Slot, Slot];
  const keys = await escrowKeysOf(world);
  const append = await archive.openAppending();
  const newestRecord = () => maker.records.at(-1)?.bytes ?? new Uint8Array();
  let waiting: Uint8Array | undefined;
  return {
    newestRecord,
    archiveId: archive.archiveId,
    append,
    /** Sends the next keyring, with the recovery code's slot and these. */
    async sendKeyring(...slots: readonly Slot[]): Promise<string> {
      maker.slots = [ours, ...slots];
      return append(maker.keyring(time).bytes);
    },
    /** A slot that opens. */
    soundSlot: () => escrow,
    rottenSlot: (name: string = Object.keys(rottenSlots)[0]!) => rottenSlots[name]!(maker, keys),
    maker,
    /** Sends the next commit; one that was refused before comes again. */
    async commit(): Promise<string> {
      if (!waiting) await maker.commit({ time });
      waiting ??= newestRecord();
      const said = await append(waiting);
      if (said === 'stored') waiting = undefined;
      return said;
    },
  };
}

/** How many slots each run of a tenant has announced. */
export async function announced(world: TenantWorld): Promise<readonly number[]> {
  const leaves = await leavesOf(world);
  return leaves.flatMap(({ leaf }) => (leaf.kind === 'escrow_tried' ? [leaf.slots] : []));
}

/** Sets what a tenant asks of escrow. */
export async function askEscrow(world: TenantWorld, escrow: 'always' | 'required' | 'off'): Promise<void> {
  const { policies } = world.cloud.clientOf(world.tenant);
  const params = { orgGuid: world.rootOrgId };
  const { revision } = await policies.get({ params });
  const own = { settings: { escrow }, locked: [] };
  await policies.put({ params, body: { own, revision } });
  const { own: now } = await policies.get({ params });
  assert.equal(now.settings.escrow, escrow);
}
