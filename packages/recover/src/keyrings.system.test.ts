import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openArchive } from './archive/archive.ts';
import { Findings } from './archive/findings.ts';
import { recover, type RecoverReport } from './index.ts';
import { assertFiles } from './testing/compare-restored.ts';
import { makeDevice } from './testing/device.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';
import { f } from './testing/write-structures.ts';

async function reports(t: TestContext, writer: ArchiveWriter): Promise<readonly RecoverReport[]> {
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  const secrets = [{ keyFile: writer.keyFile }, { recoveryCode: writer.recoveryCode }];
  return Promise.all(
    secrets.map((secret, index) =>
      recover({ folder: join(folder, 'archive'), secret, outDir: join(folder, String(index)) }),
    ),
  );
}

const unproven = (report: RecoverReport) =>
  report.findings.filter(({ severity }) => severity === 'unproven').map(({ code, message }) => `${code}: ${message}`);

test('an archive whose later writer was introduced by the first is proven', async (t) => {
  const { writer } = makeSample();
  writer.addDevice(7, { introduced: true });
  writer.commit([]);
  for (const report of await reports(t, writer)) {
    assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [7, 2, true]);
  }
});

test('a writer that nobody introduced is named with how it came in, and the state is not proven', async (t) => {
  const { writer } = makeSample();
  writer.addDevice(7, { introduced: false, origin: 4 });
  writer.commit([]);
  for (const report of await reports(t, writer)) {
    assert.deepEqual([report.headCommit, report.complete, report.proven], [7, true, false]);
    assert.deepEqual(unproven(report), [
      'keyring.not_introduced: writer 1, which may sign from commit 7 on and came in by a recovery code, was not introduced by the writer before it: that it may write is not proven',
    ]);
  }
});

test('a keyring whose predecessors are not here is not proven', async (t) => {
  const { writer } = makeSample();
  writer.devices.push({ ...makeDevice(1, 7), introduced: true });
  Object.assign(writer, { keyring: { number: 98, hash: Buffer.alloc(32) } });
  writer.writeKeyring(1);
  writer.commit([]);
  for (const report of await reports(t, writer)) {
    assert.deepEqual([report.keyringNumber, report.headCommit], [99, 7]);
    assert.deepEqual(unproven(report), [
      'keyring.before_missing: the keyring before keyring 99 is not here: that it follows is not proven',
    ]);
  }
});

test('a keyring that only lists its own signer keeps nothing from the reader, also where the real one is lost', async (t) => {
  const { writer, contents } = makeSample();
  const genuine = writer.keyring;
  const stranger = makeDevice(77, 1);
  writer.devices.push({ ...stranger, number: 1, firstCommit: 1 });
  writer.writeKeyring(1, Buffer.alloc(32, 7));
  Object.assign(writer, { keyring: genuine });
  const records = writer.records.filter((record, index) => record.kind !== 2 || index > 1);
  for (const copy of [1, 2, 3]) writer.keyFiles.delete(`keyring-1.${copy}`);
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'), { records });
  const out = join(folder, 'out');
  const report = await recover({ folder: join(folder, 'archive'), secret: { keyFile: writer.keyFile }, outDir: out });
  assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [6, undefined, false]);
  assertFiles(out, contents);
});

test('a keyring whose number none can have keeps nothing from the reader, also with a slot that the secret fits', async (t) => {
  const { writer, contents } = makeSample();
  const genuine = writer.keyring;
  for (const number of [2 ** 32, 2 ** 33, 2 ** 52]) {
    Object.assign(writer, { keyring: { number: number - 1, hash: genuine.hash } });
    writer.devices.push({ ...makeDevice(77, 1), number: 1, firstCommit: 1 });
    writer.writeKeyring(1);
    writer.devices.pop();
  }
  Object.assign(writer, { keyring: genuine });
  const folder = temporaryFolder(t);
  writer.save(join(folder, 'archive'));
  for (const [index, secret] of [{ keyFile: writer.keyFile }, { recoveryCode: writer.recoveryCode }].entries()) {
    const out = join(folder, `out ${index}`);
    const report = await recover({ folder: join(folder, 'archive'), secret, outDir: out });
    assert.deepEqual([report.headCommit, report.keyringNumber], [6, 1]);
    assertFiles(out, contents);
  }
});

test('commits that no writer of the keyring signed are counted and not kept', (t) => {
  const { writer } = makeSample();
  const genuine = writer.commits.length;
  const [device] = writer.devices;
  const stranger = makeDevice(77, 1);
  const forge = (number: number, count: number) => {
    for (let at = 0; at < count; at += 1) {
      const open = Buffer.concat([f('1!', 100 + at), f('2!', Buffer.alloc(32, number)), f('3!', 0)]);
      writer.write({ kind: 7, open, raw: Buffer.alloc(0), writer: number });
    }
  };
  writer.devices.splice(0, 1, { ...stranger, number: 0 });
  forge(0, 30);
  writer.devices.splice(0, 1, device!);
  writer.devices.push({ ...stranger, number: 1 });
  forge(1, 30);
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  for (const secret of [{ keyFile: writer.keyFile }, { recoveryCode: writer.recoveryCode }]) {
    const findings = new Findings();
    const archive = openArchive({ folder, secret, unproven: false }, findings, () => undefined);
    assert.deepEqual([archive.log.notes.length, archive.headCommit], [genuine, 6]);
    assert.equal(findings.counts['commit.forged'], 60);
    archive.shelf.close();
  }
});
