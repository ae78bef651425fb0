import assert from 'node:assert/strict';
import { sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { crc32 } from 'node:zlib';
import { listArchive, RecoverError } from './index.ts';
import { type Device, makeDevice } from './testing/device.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';
import { passwordSlot } from './testing/write-slots.ts';
import { f, u16, u32 } from './testing/write-structures.ts';

/** A signed record without a sealed part, of archive 0 unless another is given. */
function record(
  writer: ArchiveWriter,
  [kind, open]: readonly [number, Buffer],
  by: { readonly device?: Device; readonly sequence?: number; readonly archiveId?: Buffer } = {},
): Buffer {
  const { device = writer.devices[0]!, sequence = 0, archiveId = Buffer.alloc(16) } = by;
  const ids = Buffer.concat([Buffer.of(1, kind), u16(0), u32(sequence), u16(device.number), u16(64)]);
  const head = Buffer.concat([Buffer.from('HFR1'), ids, u32(open.length), u32(0), Buffer.alloc(24)]);
  const signature = sign(null, Buffer.concat([Buffer.from('holdfast v1 record\0'), archiveId, head, open]), device.key);
  const body = Buffer.concat([open, signature]);
  return Buffer.concat([head, u32(crc32(body, crc32(head))), body]);
}

function header(writer: ArchiveWriter, draft: number, salt: number): Buffer {
  const fields = [f('1!', 1), f('2!', draft), f('3!', Buffer.alloc(32, salt)), f('4!', 1)];
  return record(writer, [1, Buffer.concat([...fields, f('5!', writer.devices[0]!.publicKey)])]);
}

function save(t: TestContext, writer: ArchiveWriter, first: readonly Buffer[] = []): string {
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  const head = Buffer.concat([Buffer.from('HFSEG1\0\0'), writer.archiveId, Buffer.alloc(8)]);
  if (first.length > 0) writeFileSync(join(folder, 'segments', '0000000000.seg'), Buffer.concat([head, ...first]));
  return folder;
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RecoverError, String(error));
  return error.code;
}

test('a header of another draft masks nothing, and is the error where there is no other', async (t) => {
  const { writer } = makeSample();
  const folder = save(t, writer);
  writeFileSync(join(folder, 'keys', 'header.1'), header(writer, 1, 9));
  const wrong = { recoveryCode: `${'abandon '.repeat(23)}art` };
  assert.equal(await codeOf(listArchive({ folder, secret: wrong })), 'secret.opens_nothing');
  for (const secret of [{ recoveryCode: writer.recoveryCode }, { keyFile: writer.keyFile }]) {
    const { report } = await listArchive({ folder, secret });
    assert.deepEqual([report.headCommit, report.findingCounts['header.unknown_format']], [6, 1]);
  }
  const other = makeSample().writer;
  for (const copy of [1, 2, 3]) other.keyFiles.set(`header.${copy}`, header(other, 1, 9));
  const alone = save(t, other);
  other.save(alone, { records: other.records.filter(({ kind }) => kind !== 1) });
  const secret = { recoveryCode: other.recoveryCode };
  assert.equal(await codeOf(listArchive({ folder: alone, secret })), 'archive.unknown_format');
});

test('any number of keyrings that are not rightly signed hides none that is', async (t) => {
  const { writer } = makeSample();
  const genuine = writer.keyFiles.get('keyring-1.1')!;
  const junk = Array.from({ length: 10_050 }, (_, index) => {
    const head = Buffer.from(genuine.subarray(0, 48));
    head.writeUInt16LE(0, 6);
    head.writeUInt32LE(0, 16);
    head.writeUInt32LE(0, 20);
    const signature = Buffer.alloc(64, index);
    signature.writeUInt32LE(index);
    return Buffer.concat([head, u32(crc32(signature, crc32(head))), signature]);
  });
  for (const copy of [1, 2, 3]) writer.keyFiles.delete(`keyring-1.${copy}`);
  const { report } = await listArchive({
    folder: save(t, writer, junk),
    secret: { recoveryCode: writer.recoveryCode },
  });
  assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [6, 1, true]);
  assert.equal(report.findingCounts['keyring.refused'], junk.length);
});

test('that there are more keyrings than are looked at is said, and those nobody can forge are not among them', async (t) => {
  const { writer } = makeSample();
  const device = { ...makeDevice(77, 1), number: 1 };
  const listed = [writer.devices[0]!, device].map(({ publicKey }, number) =>
    f('4!', Buffer.concat([f('1!', number), f('2!', publicKey), f('3!', 1), f('4!', number === 0 ? 1 : 4)])),
  );
  const junk = Array.from({ length: 10_003 }, (_, index) => {
    const open = Buffer.concat([f('1!', index + 2), f('2!', Buffer.alloc(32, 1)), ...listed]);
    return record(writer, [2, open], { sequence: index, archiveId: writer.archiveId, device });
  });
  for (const copy of [1, 2, 3]) writer.keyFiles.delete(`keyring-1.${copy}`);
  const { report } = await listArchive({ folder: save(t, writer, junk), secret: { keyFile: writer.keyFile } });
  assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [6, 1, false]);
  assert.equal(report.findingCounts['keyring.too_many'], 3);
});

test('headers that others put in share the one pool of tries, and leave the genuine archive its part', async (t) => {
  const { writer } = makeSample();
  writer.slots = [passwordSlot(writer.archiveId, 'the password', 'genuine')];
  writer.writeKeyring(0);
  writer.commit([]);
  const strangers = [1, 2, 3].map((salt) => header(writer, 2, salt));
  const { report } = await listArchive({
    folder: save(t, writer, strangers),
    secret: { password: 'the password' },
  });
  assert.deepEqual([report.headCommit, report.findingCounts['header.several']], [7, 1]);
});
