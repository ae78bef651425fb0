import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { test } from 'node:test';
import { ArchiveWriter } from '../testing/write-archive.ts';
import { u16, u64 } from '../testing/write-structures.ts';
import { introductionHolds, type Keyring, readHeader, readKeyring } from './keyring.ts';
import { readFrame, type RecordFrame } from './record.ts';

const writer = new ArchiveWriter();
writer.addDevice(5);
const frameOf = (name: string): RecordFrame => readFrame(writer.keyFiles.get(name)!, 0)!;
const header = readHeader(frameOf('header.1'))!;

test('a keyring counts when a writer it lists signed it and writer 0 has the key of the header', () => {
  for (const number of [1, 2]) assert.equal(readKeyring(frameOf(`keyring-${number}.1`), header)?.number, number);
  const other = { ...header, firstWriterKey: Buffer.alloc(32, 1) };
  assert.equal(readKeyring(frameOf('keyring-2.1'), other), undefined);
  assert.equal(readKeyring(frameOf('keyring-2.1'), { ...header, archiveId: Buffer.alloc(16) }), undefined);
  const unsigned = { ...frameOf('keyring-2.1'), signature: Buffer.alloc(64) };
  assert.equal(readKeyring(unsigned, header), undefined);
});

test('an introduction holds when the writer before signed this writer, and says nothing where there is none', () => {
  const keyring = readKeyring(frameOf('keyring-2.1'), header)!;
  const [first, second] = keyring.writers;
  const message = Buffer.concat([
    Buffer.from('holdfast v1 writer'),
    header.archiveId,
    u16(1),
    second!.publicKey,
    u64(5),
  ]);
  const introduced = (device: number, bytes = message): Keyring => {
    const introduction = sign(null, bytes, writer.devices[device]!.key);
    return { ...keyring, writers: [first!, { ...second!, introduction }] };
  };
  const holds = (of: Keyring) => introductionHolds(of, of.writers[1]!, header.archiveId);
  assert.equal(holds(keyring), undefined);
  assert.equal(holds(introduced(0)), true);
  assert.equal(holds(introduced(1)), false);
  assert.equal(holds(introduced(0, Buffer.concat([message, Buffer.of(0)]))), false);
});
