import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, systemClock } from '@holdfast/base';
import { joinBytes } from '../format/cursor.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { RecordKind } from '../format/record.ts';
import { ArchiveFolder, type FolderPosition } from './archive-folder.ts';
import { keyringRecord, seededBytes, seededChance, storedRecord } from './fixtures.ts';
import { type DiskCall, type DiskFault, SimulatedDisk } from './simulated-disk.ts';

const archiveId = seededBytes(1, 16);

/** Every call is tried in the full run, where nothing else is said; in the short one every so many, so that it takes seconds. */
function stride(shortStride: number, fullStride = 1): number {
  return process.env.HOLDFAST_TEST_FULL ? fullStride : shortStride;
}

/** What the outside knows: every record ever sent, those acknowledged, and the position that came with that. */
type World = {
  readonly disk: SimulatedDisk;
  readonly sent: Map<Ordinal, Uint8Array>;
  readonly acknowledged: Set<Ordinal>;
  position: FolderPosition | undefined;
};

function newWorld(seed: number): World {
  const disk = new SimulatedDisk({ chance: seededChance(seed) });
  return { disk, sent: new Map(), acknowledged: new Set(), position: undefined };
}

function open(world: World): Promise<ArchiveFolder> {
  const { disk, position } = world;
  const base = { dir: '/a', disk, archiveId, clock: systemClock, mode: 'write', parity: true, copies: true } as const;
  return ArchiveFolder.open({ ...base, segmentBodyBytes: 24 * 1024, ...(position ? { acknowledged: position } : {}) });
}

/** Sixty fragments of one to four records of all kinds. */
function makeScript(): { ordinal: Ordinal; record: Uint8Array }[][] {
  const chance = seededChance(4);
  const kinds = [RecordKind.block, RecordKind.bundle, RecordKind.tree, RecordKind.commit];
  let [next, keyring] = [2, 1];
  return Array.from({ length: 60 }, (_, step) =>
    Array.from({ length: 1 + Math.floor(chance() * 4) }, (_, i) => {
      const ordinal = next++;
      const isKeyring = step % 20 === 3 && i === 0;
      const sealedBytes = Math.floor(chance() ** 3 * 9000);
      const record = isKeyring
        ? keyringRecord(keyring++, ordinal)
        : storedRecord(ordinal, sealedBytes, kinds[Math.floor(chance() * 4)]);
      return { ordinal, record };
    }),
  );
}

const script = makeScript();

/** Appends the script's fragments, with a sync after most, a seal, and a reopening on the way. */
async function runScript(world: World): Promise<void> {
  let folder = await open(world);
  const unacknowledged: Ordinal[] = [];
  const sync = async () => {
    const taken = unacknowledged.splice(0);
    world.position = await folder.sync();
    for (const ordinal of taken) world.acknowledged.add(ordinal);
  };
  for (const [step, fragment] of script.entries()) {
    for (const { ordinal, record } of fragment) {
      world.sent.set(ordinal, record);
      unacknowledged.push(ordinal);
    }
    await folder.append(joinBytes(...fragment.map(({ record }) => record)));
    if (step % 3 !== 1) await sync();
    if (step === 25) await folder.seal();
    if (step === 40) {
      await sync();
      await folder.close();
      folder = await open(world);
    }
  }
  await sync();
  await folder.settle();
  await folder.close();
}

/** Every acknowledged record is there to the byte; what else is there is what was sent; and the folder is sound. */
async function expectSound(world: World, what: string): Promise<void> {
  world.disk.fault = undefined;
  world.disk.powerOn();
  const folder = await open(world);
  const found = new Set<Ordinal>();
  for await (const outcome of folder.read([...world.sent.keys()])) {
    if (outcome.status === 'found') {
      assert.deepEqual(Buffer.from(outcome.bytes), Buffer.from(world.sent.get(outcome.ordinal)!), what);
      if (world.acknowledged.has(outcome.ordinal)) assert.equal(outcome.origin, 'segment', what);
      found.add(outcome.ordinal);
    }
    const isAllowed = outcome.status === 'found' || !world.acknowledged.has(outcome.ordinal);
    assert.ok(isAllowed, `${what}: acknowledged record ${outcome.ordinal} is ${outcome.status}`);
  }
  for await (const entry of folder.list()) assert.ok(world.sent.has(entry.ordinal), what);
  const { damage, missingSegments } = await folder.status();
  assert.deepEqual([damage, missingSegments], [[], []], what);
  const report = await folder.scrub();
  assert.deepEqual([report.findings, report.keyFiles], [[], []], what);
  // It goes on: all that was sent can be sent again, and then is there after the next power cut.
  await folder.append(joinBytes(...world.sent.values()));
  world.position = await folder.sync();
  world.disk.cutPower();
  world.disk.powerOn();
  const again = await open(world);
  for await (const { status, ordinal } of again.read([...world.sent.keys()]))
    assert.equal(status, 'found', `${what}: ${ordinal}`);
  await again.close();
}

/** Runs the script with a fault; a declared error or an error of the dead disk may end it, nothing else. */
async function runUntilFault(world: World, fault: (call: DiskCall) => DiskFault | undefined): Promise<void> {
  world.disk.fault = fault;
  try {
    await runScript(world);
  } catch (error) {
    const isDeclared =
      error instanceof CodedError ? error.code.startsWith('log.') : (error as { code?: string }).code === 'EIO';
    if (!isDeclared) throw error;
  }
  // Whatever sealing is still under way ends before the machine is looked at again.
  await new Promise((resolve) => setImmediate(resolve));
}

/** The calls of a run without faults; up to the first fault every run makes the same. */
async function listCalls(): Promise<DiskCall[]> {
  const world = newWorld(1);
  const calls: DiskCall[] = [];
  world.disk.fault = (call) => void calls.push(call);
  await runScript(world);
  assert.equal(world.acknowledged.size, world.sent.size);
  return calls;
}

async function countCalls(): Promise<number> {
  return (await listCalls()).length;
}

test('a power cut at any call of the disk loses no acknowledged record and damages nothing', async () => {
  const calls = await countCalls();
  assert.ok(calls > 500, `${calls} calls`);
  for (let at = 1; at <= calls; at += stride(19)) {
    const world = newWorld(at);
    await runUntilFault(world, ({ number }) => (number === at ? { powerCut: true } : undefined));
    world.disk.cutPower();
    await expectSound(world, `power cut at call ${at} of ${calls}`);
  }
});

test('a process killed at any call of the disk loses no acknowledged record and damages nothing', async () => {
  const calls = await countCalls();
  for (let at = 1; at <= calls; at += stride(31)) {
    const world = newWorld(at);
    // The page cache outlives the process: all that was written is still there, the call under way is not done.
    await runUntilFault(world, ({ number }) => (number >= at ? { killed: true } : undefined));
    await expectSound(world, `killed at call ${at} of ${calls}`);
  }
});

for (const code of ['EIO', 'ENOSPC']) {
  test(`${code} at any one call of the disk loses no acknowledged record and damages nothing`, async () => {
    const changes = ['write', 'sync', 'truncate', 'rename', 'link', 'syncDirectory'];
    if (code === 'EIO') changes.push('open', 'remove', 'read', 'stat', 'list');
    const calls = (await listCalls()).filter(({ operation }) => changes.includes(operation));
    for (let i = 0; i < calls.length; i += stride(37)) {
      const at = calls[i]!.number;
      const world = newWorld(at);
      const partly = at % 4 === 0 ? { writtenBytes: 700 } : {};
      await runUntilFault(world, ({ number }) => (number === at ? { code, ...partly } : undefined));
      world.disk.cutPower();
      await expectSound(world, `${code} at call ${at}`);
    }
  });
}

test('a failed sync of a segment, whoever asked for it, acknowledges nothing that a power cut takes', async () => {
  const calls = await listCalls();
  const syncs = calls.filter(({ operation, path }) => operation === 'sync' && path.endsWith('.seg'));
  for (let i = 0; i < syncs.length; i += stride(2)) {
    const at = syncs[i]!.number;
    const world = newWorld(at);
    await runUntilFault(world, ({ number }) => (number === at ? { code: 'EIO' } : undefined));
    world.disk.cutPower();
    await expectSound(world, `failed sync at call ${at}`);
  }
});

test('a full segment whose sync failed is not sealed over what never reached the disk', async () => {
  const world = newWorld(1);
  const folder = await open(world);
  await folder.append(storedRecord(2, 20_000));
  let failures = 0;
  world.disk.fault = ({ operation, path }) => {
    const isFirst = operation === 'sync' && path.includes('/segments/') && failures++ === 0;
    return isFirst ? { code: 'EIO' } : undefined;
  };
  const syncing = folder.sync();
  // It does not fit any more: the first segment is full, and its sealing waits for the sync under way.
  const appending = folder.append(storedRecord(3, 20_000));
  await assert.rejects(syncing, { code: 'log.poisoned' });
  await appending.catch(() => undefined);
  await folder.settle();
  assert.ok(failures > 0);
  world.disk.cutPower();
  await expectSound(world, 'a sync that failed before sealing');
});

test('a sync that fails once and would succeed the next time acknowledges nothing that a power cut takes', async () => {
  const syncs = (await listCalls()).filter(({ operation }) => operation === 'sync');
  for (let i = 0; i < syncs.length; i += stride(9)) {
    const at = syncs[i]!.number;
    const world = newWorld(at);
    await runUntilFault(world, ({ number }) => (number === at ? { code: 'EIO' } : undefined));
    // Not a power cut first: the next process sees pages that never reached the disk, goes on with them, and only then it fails.
    world.disk.fault = undefined;
    const folder = await open(world);
    await folder.append(joinBytes(...world.sent.values()));
    world.position = await folder.sync();
    for (const ordinal of world.sent.keys()) world.acknowledged.add(ordinal);
    world.disk.cutPower();
    await expectSound(world, `failed sync at call ${at}, gone on with`);
  }
});

test('a power cut while a crash is being recovered from loses no acknowledged record', async () => {
  const calls = await countCalls();
  // Pairs of calls: every one of the second at some of the first is thousands of runs, all of both would take hours.
  for (let at = 20; at <= calls; at += stride(257, 19)) {
    for (let second = 1; second < 60; second += stride(6)) {
      const world = newWorld(at);
      await runUntilFault(world, ({ number }) => (number === at ? { powerCut: true } : undefined));
      world.disk.powerOn();
      const from = world.disk.calls;
      world.disk.fault = ({ number }) => (number === from + second ? { powerCut: true } : undefined);
      const opened = await open(world).catch(() => undefined);
      await opened?.settle().catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      world.disk.cutPower();
      await expectSound(world, `power cut at call ${at}, then at call ${second} of opening`);
    }
  }
});
