import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { ArchiveWriter } from '../testing/write-archive.ts';
import { makeDevice } from '../testing/device.ts';
import { f, instant, u16, u64 } from '../testing/write-structures.ts';
import { introductionHolds, isSignedFor, readHeader, readKeyring, rightfulWriter, type Writer } from './keyring.ts';
import { readFrame, type RecordFrame } from './record.ts';

const writer = new ArchiveWriter();
writer.addDevice(5);
const frameOf = (name: string): RecordFrame => readFrame(writer.keyFiles.get(name)!, 0)!;
const header = readHeader(frameOf('header.1'))!;

test('a keyring is signed when its newest writer signed it and writer 0 has the key of the header', () => {
  const isSigned = (frame: RecordFrame, by = header) => isSignedFor(readKeyring(frame), by);
  for (const number of [1, 2]) assert.ok(isSigned(frameOf(`keyring-${number}.1`)));
  assert.ok(!isSigned(frameOf('keyring-2.1'), { ...header, firstWriterKey: Buffer.alloc(32, 1) }));
  assert.ok(!isSigned(frameOf('keyring-2.1'), { ...header, archiveId: Buffer.alloc(16) }));
  assert.ok(!isSigned({ ...frameOf('keyring-2.1'), signature: Buffer.alloc(64) }));
  // A listed writer who is not the newest, under an ordinal of his own.
  const older = new ArchiveWriter();
  older.devices.push(makeDevice(1, 5));
  older.writeKeyring(0);
  assert.ok(!isSigned(readFrame(older.keyFiles.get('keyring-2.1')!, 0)!));
});

test('an introduction holds when the writer before signed this writer, and says nothing where there is none', () => {
  const [first, second] = readKeyring(frameOf('keyring-2.1')).writers;
  const message = Buffer.concat([
    Buffer.from('holdfast v1 writer'),
    header.archiveId,
    u16(1),
    second!.publicKey,
    u64(5),
  ]);
  const introduced = (device: number, bytes = message): Writer => {
    return { ...second!, introduction: sign(null, bytes, writer.devices[device]!.key) };
  };
  const holds = (of: Writer) => introductionHolds(of, first, header.archiveId);
  assert.equal(holds(second!), undefined);
  assert.equal(holds(introduced(0)), true);
  assert.equal(holds(introduced(1)), false);
  assert.equal(holds(introduced(0, Buffer.concat([message, Buffer.of(0)]))), false);
  assert.equal(introductionHolds(introduced(0), undefined, header.archiveId), false);
});

test('a number belongs to the last writer listed whose first commit is not above it', () => {
  const listed = [1, 9, 5].map((firstCommit, number) => ({ ...makeDevice(number, firstCommit), number }));
  const writers = listed as unknown as readonly Writer[];
  const numbers = [0, 1, 4, 5, 9, 100].map((commit) => rightfulWriter(writers, commit)?.number);
  assert.deepEqual(numbers, [undefined, 0, 0, 2, 2, 2]);
});

const slot = (fields: Readonly<Record<string, Buffer | number | undefined>> = {}) => {
  const all = {
    '1!': Buffer.alloc(16),
    '2!': 1,
    '3!': Buffer.alloc(32),
    '4!': Buffer.alloc(80),
    '05': instant(1),
    ...fields,
  };
  return fieldsOf(all);
};
const fieldsOf = (all: Readonly<Record<string, Buffer | number | undefined>>) =>
  Buffer.concat(Object.entries(all).flatMap(([tag, value]) => (value === undefined ? [] : [f(tag, value)])));

/** Keyring 2 of writer 0 with these slots and this of its writer and of itself changed. */
function keyringWith(
  slots: readonly Buffer[],
  { writerFields = {}, fields = [] }: { readonly writerFields?: object; readonly fields?: readonly Buffer[] } = {},
): RecordFrame {
  const listed = fieldsOf({ '1!': 0, '2!': header.firstWriterKey, '3!': 1, '4!': 1, ...writerFields });
  const open = [f('1!', 2), f('2!', Buffer.alloc(32)), ...slots.map((one) => f('3!', one)), f('4!', listed), ...fields];
  return { ...frameOf('keyring-1.1'), open: Buffer.concat(open) };
}

test('a slot of an unknown kind is passed over, and corrupt where its id, or what none may lack, is not as it must be', () => {
  const unknown = { '2!': 77, '3!': Buffer.alloc(5), '4!': Buffer.alloc(0), '05': Buffer.alloc(5) };
  assert.deepEqual(readKeyring(keyringWith([slot(unknown), slot()])).slotKinds, [77, 1]);
  assert.equal(readKeyring(keyringWith([slot({ ...unknown, '05': undefined })])).slots.length, 0);
  for (const wrong of [
    { '1!': Buffer.alloc(15) },
    { '1!': Buffer.alloc(17) },
    { '1!': undefined },
    { '3!': undefined },
    { '4!': undefined },
    { '2!': undefined },
  ])
    assert.throws(() => readKeyring(keyringWith([slot({ ...unknown, ...wrong })])), { code: 'structure.corrupt' });
});

test('a slot of a known kind, a writer or a time out of its bounds makes a keyring corrupt', () => {
  const bad: readonly RecordFrame[] = [
    ...[
      { '3!': Buffer.alloc(31) },
      { '4!': Buffer.alloc(79) },
      { '05': Buffer.alloc(5) },
      { '1!': Buffer.alloc(15) },
    ].map((wrong) => keyringWith([slot(wrong)])),
    ...[0, 6, 9].map((origin) => keyringWith([], { writerFields: { '4!': origin } })),
    keyringWith([], { writerFields: { '1!': 65_536 } }),
    keyringWith([], { writerFields: { '3!': undefined } }),
    keyringWith([], { fields: [f('5', Buffer.alloc(5))] }),
    keyringWith(Array.from({ length: 65 }, () => slot())),
    {
      ...frameOf('keyring-2.1'),
      ordinal: 1,
      open: Buffer.concat([f('1!', 1), frameOf('keyring-2.1').open.subarray(3)]),
    },
    { ...frameOf('keyring-1.1'), ordinal: 2 },
  ];
  for (const [index, frame] of bad.entries())
    assert.throws(() => readKeyring(frame), { code: 'structure.corrupt' }, String(index));
  const good = [
    keyringWith([slot({ '05': undefined })]),
    ...[1, 5].map((origin) => keyringWith([], { writerFields: { '4!': origin } })),
    keyringWith([], { fields: [f('5', instant(1))] }),
    keyringWith(Array.from({ length: 64 }, () => slot())),
    frameOf('keyring-1.1'),
    frameOf('keyring-2.1'),
  ];
  for (const frame of good) assert.ok(readKeyring(frame).number > 0);
});
