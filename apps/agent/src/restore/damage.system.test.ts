import assert from 'node:assert/strict';
import { linkSync, readdirSync, writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { type Destination, parseRecordHeader, RecordKind } from '@holdfast/archive';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise, readTree } from './fixtures.ts';
import { RestoringDevice } from './testing.ts';

/** Two long files (one with two names) and a bundle of small ones. */
async function scene(t: TestContext) {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  const tree = device.newFolder('tree');
  writeFileSync(`${tree}/long 1`, noise(2_000_000, 1));
  writeFileSync(`${tree}/long 2`, noise(2_000_000, 2));
  linkSync(`${tree}/long 1`, `${tree}/long 1 too`);
  for (const name of ['small 1', 'small 2']) writeFileSync(`${tree}/${name}`, name);
  await device.backup(tree);
  return { device, tree };
}

/** The ordinals of contents, by what is in their records. */
function ordinalsOf(device: RestoringDevice, kind: number): number[] {
  const records = [...device.destination.records.values()].map((record) => parseRecordHeader(record));
  return records.filter((header) => header.kind === kind).map(({ ordinal }) => ordinal);
}

/** A destination whose records went through `change`; undefined is a record that is not there. */
function changed(
  device: RestoringDevice,
  change: (ordinal: number, record: Uint8Array) => Uint8Array | undefined,
): Destination {
  return {
    name: 'changed',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals) {
      for await (const record of device.destination.read(ordinals)) {
        const made = change(parseRecordHeader(record).ordinal, record);
        if (made) yield made;
      }
    },
  };
}

function flipped(record: Uint8Array): Uint8Array {
  const copy = record.slice();
  copy[copy.length - 40]! ^= 1;
  return copy;
}

test('a damaged or missing record loses the files in it, by name and reason, and nothing else', async (t) => {
  const { device, tree } = await scene(t);
  const [block] = ordinalsOf(device, RecordKind.block);
  const [bundle] = ordinalsOf(device, RecordKind.bundle);
  assert.ok(block !== undefined && bundle !== undefined);
  const cases = [
    { ordinal: block, how: () => undefined, code: 'restore.record_missing', isLost: true },
    { ordinal: block, how: flipped, code: 'archive.not_authentic', isLost: true },
    { ordinal: bundle, how: flipped, code: 'archive.not_authentic', isLost: true },
    { ordinal: block, how: (record: Uint8Array) => record, code: undefined, isLost: false },
  ];
  for (const [number, { ordinal, how, code, isLost }] of cases.entries()) {
    const target = device.newFolder(`target ${number}`);
    const destination = changed(device, (at, record) => (at === ordinal ? how(record) : record));
    const report = await device.restore(tree, target, { destinations: [destination], sync: 'batch' });
    assert.ok(report.failed.every((each) => each.code === code && each.message.length > 0));
    const failed = report.failed.map(({ path }) => Buffer.from(path).toString());
    assert.equal(failed.length > 0, isLost);
    // A content that is lost is lost under both its names.
    assert.equal(failed.includes('long 1'), failed.includes('long 1 too'));
    assert.equal(failed.includes('small 1'), isLost && ordinal === bundle);
    const restored = Object.keys(readTree(target));
    assert.deepEqual([...failed, ...restored].toSorted(), ['long 1', 'long 1 too', 'long 2', 'small 1', 'small 2']);
    assert.deepEqual(
      readdirSync(target).filter((name) => name.includes('holdfast')),
      [],
    );
  }
});

test('what one destination lost or damaged is taken from the next', async (t) => {
  const { device, tree } = await scene(t);
  const contents = [...ordinalsOf(device, RecordKind.block), ...ordinalsOf(device, RecordKind.bundle)];
  const odd = changed(device, (ordinal, record) => (contents.indexOf(ordinal) % 2 === 1 ? undefined : record));
  const even = changed(device, (ordinal, record) => (contents.indexOf(ordinal) % 2 === 0 ? flipped(record) : record));
  const target = device.newFolder('target');
  const report = await device.restore(tree, target, { destinations: [odd, even] });
  assert.deepEqual([report.failedCount, report.restored], [0, 5]);
  const alone = await device.restore(tree, device.newFolder('alone'), { destinations: [odd] });
  assert.ok(alone.failedCount > 0);
});

test('a record put in the place of another restores nothing under the wrong name', async (t) => {
  const { device, tree } = await scene(t);
  const [first, second] = ordinalsOf(device, RecordKind.block);
  assert.ok(first !== undefined && second !== undefined);
  const swapped = changed(device, (ordinal, record) => {
    if (ordinal !== first) return record;
    const other = device.destination.records.get(second)!.slice();
    // The header's ordinal is what a reader goes by: the forger changes it too.
    other.set(record.subarray(8, 14), 8);
    return other;
  });
  const target = device.newFolder('target');
  const report = await device.restore(tree, target, { destinations: [swapped] });
  assert.equal(report.failedCount > 0, true);
  assert.ok(report.failed.every(({ code }) => code === 'archive.not_authentic'));
});

test('a destination that breaks off stops the restore, which goes on later and fails nobody', async (t) => {
  const { device, tree } = await scene(t);
  const target = device.newFolder('target');
  const planPath = device.newPlanPath();
  const broken: Destination = {
    name: 'broken',
    append: () => Promise.reject(new Error('a restore does not append')),
    async *read(ordinals) {
      let count = 0;
      for await (const record of device.destination.read(ordinals)) {
        if (count++ === 2) throw new Error('the line is cut');
        yield record;
      }
    },
  };
  await assert.rejects(device.restore(tree, target, { planPath, destinations: [broken] }), /the line is cut/);
  const report = await device.restore(tree, target, { planPath });
  assert.deepEqual([report.failedCount, report.restored], [0, 5]);
});
