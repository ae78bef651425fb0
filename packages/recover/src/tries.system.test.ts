import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { listArchive, RecoverError, type Secret } from './index.ts';
import { makeDevice } from './testing/device.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import { asSomebody } from './testing/somebody.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';
import { customKeySlot, leastCost, passwordParameters, passwordSlot, type WrittenSlot } from './testing/write-slots.ts';

const password = 'correct horse battery';
const secret: Secret = { password };

function withSlots(slots: (archiveId: Buffer) => readonly WrittenSlot[]): ArchiveWriter {
  const { writer } = makeSample();
  writer.slots = slots(writer.archiveId);
  writer.addEpoch();
  writer.commit([]);
  return writer;
}

/** Slots that the password does not fit, each of a salt of its own. */
function forgedSlots(template: WrittenSlot, count: number, cost = leastCost): readonly WrittenSlot[] {
  return Array.from({ length: count }, (_, at) => {
    const salt = Buffer.alloc(16, 0xee);
    salt.writeUInt16LE(at);
    return { ...template, commitment: Buffer.alloc(32, 1), parameters: passwordParameters(salt, cost) };
  });
}

/** Adds a keyring of somebody who listed himself. */
function forge(
  writer: ArchiveWriter,
  slots: readonly WrittenSlot[],
  epochs: readonly (readonly [number, Buffer])[],
): void {
  const devices = [...writer.devices, { ...makeDevice(77, 1), number: 1, firstCommit: 1 }];
  asSomebody(writer, { devices, slots, epochs }, () => writer.writeKeyring(1, Buffer.alloc(32, 7)));
}

function save(t: TestContext, writer: ArchiveWriter): string {
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  return folder;
}

async function failureOf(promise: Promise<unknown>): Promise<RecoverError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RecoverError, String(error));
  return error;
}

test('where slots were not tried that is an error of its own, with their number, and more tries open', async (t) => {
  const { writer } = makeSample();
  const genuine = passwordSlot(writer.archiveId, password, 'genuine');
  // A writer that nobody introduced: nothing tells this keyring from a forged one.
  writer.devices.push({ ...makeDevice(1, 7), origin: 4 });
  writer.slots = [...forgedSlots(genuine, 20), genuine];
  writer.writeKeyring(1);
  const folder = save(t, writer);
  const { code, kind, details } = await failureOf(listArchive({ folder, secret }));
  assert.deepEqual([code, kind, details['slotsNotTried']], ['secret.not_all_tried', 'exhausted', 5]);
  assert.ok(Array.isArray(details['slotsFor']));
  assert.equal((await failureOf(listArchive({ folder, secret, passwordTries: 20 }))).code, 'secret.not_all_tried');
  const { report } = await listArchive({ folder, secret, passwordTries: 21 });
  assert.equal(report.headCommit, 6);
  const wrong = await failureOf(listArchive({ folder, secret: { password: 'another password' }, passwordTries: 21 }));
  assert.deepEqual([wrong.code, wrong.details['slotsNotTried']], ['secret.opens_nothing', undefined]);
  for (const passwordTries of [0, -1, 1.5, 10_001, Number.NaN])
    assert.equal((await failureOf(listArchive({ folder, secret, passwordTries }))).code, 'request.invalid');
});

test('the program takes a number of tries with a password alone', (t) => {
  const writer = withSlots((archiveId) => [passwordSlot(archiveId, password, 'program')]);
  const folder = save(t, writer);
  const file = join(folder, '..', 'secret');
  const run = (option: string, text: string, tries: string) => {
    writeFileSync(file, text);
    const main = join(import.meta.dirname, 'main.ts');
    const args = [main, folder, '--dry-run', option, file, '--password-tries', tries];
    return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 }).status;
  };
  assert.equal(run('--password-file', password, '1'), 0);
  for (const tries of ['', '0', '-1', 'x', '100000']) assert.equal(run('--password-file', password, tries), 2, tries);
  assert.equal(run('--recovery-code-file', writer.recoveryCode, '1'), 2);
});

test('forged slots of the greatest cost are not worked out before the genuine one, nor after it opened', async (t) => {
  const writer = withSlots((archiveId) => [passwordSlot(archiveId, password, 'cheap')]);
  forge(writer, forgedSlots(writer.slots[0]!, 1, [1_048_576, 3, 1]), [...writer.epochs]);
  const folder = save(t, writer);
  const before = process.cpuUsage();
  const { report } = await listArchive({ folder, secret });
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual([report.headCommit, report.keyringNumber], [7, 2]);
  // It takes some 6 s.
  assert.ok(user + system < 3_000_000, `${user + system} us of CPU`);
});

test('a forged keyring that a genuine secret opens does not hide the epochs that its forger never had', async (t) => {
  const key = Buffer.from('00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978', 'hex');
  const ofSlot = (archiveId: Buffer) => [customKeySlot(archiveId, key, 'kept')];
  const writer = withSlots(ofSlot);
  // Who once opened keyring 1 has its epoch, and the public keys that the genuine slots keep.
  forge(writer, writer.slots, [...writer.epochs].slice(0, 1));
  const folder = save(t, writer);
  const { report } = await listArchive({ folder, secret: { customKey: key.toString('hex') } });
  assert.deepEqual([report.headCommit, report.findingCounts['keyring.other_epochs']], [7, 1]);
  const alone = await listArchive({ folder: save(t, withSlots(ofSlot)), secret: { customKey: key.toString('hex') } });
  assert.deepEqual([alone.report.headCommit, alone.report.findingCounts], [7, {}]);
});

test('parameters that must be understood make a slot useless whose kind has none, and others do not', async (t) => {
  const key = Buffer.alloc(32, 3);
  const opened = (parameters: Buffer) =>
    listArchive({
      folder: save(
        t,
        withSlots((archiveId) => [{ ...customKeySlot(archiveId, key, 'odd'), parameters }]),
      ),
      secret: { customKey: key.toString('hex') },
    });
  for (const parameters of ['0300', '01', 'ff0100'])
    assert.equal((await failureOf(opened(Buffer.from(parameters, 'hex')))).code, 'secret.opens_nothing');
  for (const parameters of ['', '0200', '020107'])
    assert.equal((await opened(Buffer.from(parameters, 'hex'))).report.headCommit, 7);
});
