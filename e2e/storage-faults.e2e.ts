import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudDestination } from '@holdfast/agent/cloud';
import { nodeDisk, type Disk, type DiskFile } from '@holdfast/archive/log';
import { CodedError } from '@holdfast/base';
import { ExampleLog, sha256Of } from './example-log.ts';
import { enrollDevice, startRunningCloud } from './running-cloud.ts';

/** The machine's disk, whose syncs of segments fail while it is told to. */
function faultyDisk() {
  const state = { failing: false, syncs: 0 };
  const wrap = (file: DiskFile, isSegment: boolean): DiskFile => ({
    read: (target, position) => file.read(target, position),
    write: (bytes, position) => file.write(bytes, position),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    size: () => file.size(),
    close: () => file.close(),
    async sync() {
      if (isSegment) state.syncs++;
      if (isSegment && state.failing)
        throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO', syscall: 'fsync' });
      await file.sync();
    },
  });
  const open: Disk['open'] = async (path, mode) => wrap(await nodeDisk.open(path, mode), path.includes('/segments/'));
  return { state, disk: { ...nodeDisk, open } };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

test('a disk that fails to sync stops every acknowledgement until it is sound, and nothing acknowledged is lost', async (t) => {
  const { disk, state } = faultyDisk();
  const { addTenant } = await startRunningCloud(t, { edges: { disk } });
  const device = await enrollDevice(t, await addTenant('home'));
  const log = new ExampleLog(device.enrollment.escrowKeys);
  const facts = { archiveId: log.archiveId, keyRecords: log.keyRecords, known: undefined };
  const before = await CloudDestination.open(device.client, facts);
  const safe = log.block();
  await before.append(safe.bytes);

  const session = await CloudDestination.open(device.client, facts);
  state.failing = true;
  const lost = Array.from({ length: 8 }, () => log.block());
  let acknowledged = 0;
  const sent = lost.map((block) => session.append(block.bytes).then(() => acknowledged++));
  const outcomes = await Promise.allSettled(sent);
  assert.equal(acknowledged, 0);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  assert.ok(state.syncs > 0);

  state.failing = false;
  const after = await CloudDestination.open(device.client, facts);
  const read: string[] = [];
  for await (const record of after.read([safe.ordinal])) read.push(sha256Of(record));
  assert.deepEqual(read, [sha256Of(safe.bytes)]);
  for (const block of lost) assert.equal(await codeOf(after.append(block.bytes)), 'no error');
  let found = 0;
  for await (const _ of after.read(lost.map(({ ordinal }) => ordinal))) found++;
  assert.equal(found, lost.length);
});
