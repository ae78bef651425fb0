import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { storageRoutes } from '@holdfast/contract';
import { formatUuid, systemRandom } from '@holdfast/base';
import { changeStoredSlots } from '@holdfast/agent/keys/testing';
import { escrowSlotKind, prepareEscrowSlot, sealingKeysOf } from '@holdfast/trust';
import { startAgentOf } from './agent-of-device.ts';
import { statusOf } from './agent-status.ts';
import { hasty } from './escrowed-device.ts';
import { until } from './process-tree.ts';
import {
  type AdministeredTenant,
  enrollDevice,
  newFolder,
  type RunningCloud,
  startRunningCloud,
} from './running-cloud.ts';

type Standing = { archive_id: string; outcome: string | null; refused_code: string | null };

type KeyList = {
  readonly keyring: number;
  readonly escrow: { readonly state: string };
  readonly slots: readonly { readonly kind: string; readonly isCurrent: boolean }[];
};

/** How the server has it that the escrow of archives stands. */
function standingsOf({ cloud }: RunningCloud, { tenantUid }: AdministeredTenant): Promise<readonly Standing[]> {
  return cloud.api.deps.database.withTenant(tenantUid, (tx) =>
    tx
      .withTables<{ escrow_standings: Standing }>()
      .selectFrom('escrow_standings')
      .select(['archive_id', 'outcome', 'refused_code'])
      .execute(),
  );
}

/** An agent of a new device, over a folder with a file. */
async function startDevice(t: TestContext, tenant: AdministeredTenant) {
  const device = await enrollDevice(t, tenant);
  const files = newFolder(t);
  writeFileSync(path.join(files, 'first'), 'first');
  const start = () => startAgentOf(t, device, { clock: hasty, files });
  const running = await start();
  const archiveId = formatUuid(running.agent.archiveId);
  const head = async () => (await device.client.call(storageRoutes.list, {})).archives[0]?.head?.number ?? 0;
  return { device, files, start, running, archiveId, head };
}

test('the slot of a computer that enrols is proved within seconds; one that does not open stops its commits, and heals', async (t) => {
  const running = await startRunningCloud(t);
  const tenant = await running.addTenant('home');
  const [one, other] = [await startDevice(t, tenant), await startDevice(t, tenant)];
  const standingOf = async (archiveId: string) =>
    (await standingsOf(running, tenant)).find(({ archive_id }) => archive_id === archiveId);
  const isProved = async ({ archiveId }: typeof one) => (await standingOf(archiveId))?.outcome === 'opens';
  const begun = performance.now();
  for (const device of [one, other]) await until(() => isProved(device), 'the slot is proved', 60_000);
  t.diagnostic(`both slots were proved ${Math.round(performance.now() - begun)} ms after their agents ran`);
  await until(async () => (await one.head()) > 0 && (await other.head()) > 0, 'both back up', 60_000);

  // Its next keyring has a slot that says that it is for the tenant's keys, and holds rubbish.
  await one.running.agent.stop();
  const sealingKeys = sealingKeysOf(one.device.enrollment.escrowKeys);
  changeStoredSlots(one.device.stateDir, ({ keys: { archiveId } }) => {
    const { slot, publicKey } = prepareEscrowSlot(archiveId, sealingKeys, systemRandom);
    const parameters = Uint8Array.from(slot.parameters!);
    parameters[parameters.length - 1]! ^= 1;
    return { isStruck: ({ kind }) => kind === escrowSlotKind, added: [{ slot: { ...slot, parameters }, publicKey }] };
  });
  const again = await one.start();
  let refused = '';
  const isRefused = async () => {
    writeFileSync(path.join(one.files, `at ${performance.now()}`), 'what commits');
    const standing = (await statusOf(again)).standings.find(({ reason }) => /does not open/.test(reason));
    refused = standing?.remedy ?? '';
    return refused !== '';
  };
  await until(isRefused, 'the server takes no commits, and status says so', 90_000);
  assert.match(refused, /a new escrow slot is made by itself/);
  const keys = async () => (await again.ask('key.list')) as unknown as KeyList;
  await until(async () => (await keys()).keyring === 3, 'the agent has made its slot anew', 90_000);
  const escrows = (await keys()).slots.filter(({ kind }) => kind === 'escrow');
  assert.deepEqual(
    escrows.map(({ isCurrent }) => isCurrent),
    [false, false, true],
  );

  // It goes on by itself, and the other computer never stopped.
  const before = await one.head();
  writeFileSync(path.join(one.files, 'last'), 'last');
  await until(async () => (await isProved(one)) && (await one.head()) > before, 'its commits are taken again', 120_000);
  const isWell = async () => (await keys()).escrow.state === 'in_place';
  await until(isWell, 'the agent says that all is well', 60_000);
  assert.equal((await keys()).keyring, 3, 'once is enough');
  const { refused_code: cause } = (await standingOf(one.archiveId))!;
  assert.equal(cause, null);
  const commits = await other.head();
  writeFileSync(path.join(other.files, 'second'), 'second');
  await until(async () => (await other.head()) > commits, 'the other one goes on', 60_000);
});
