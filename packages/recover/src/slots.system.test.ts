import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { listArchive, recover, RecoverError, type Secret } from './index.ts';
import { assertFiles } from './testing/compare-restored.ts';
import { makeDevice } from './testing/device.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';
import {
  customKeySlot,
  escrowSlot,
  leastCost,
  passwordParameters,
  passwordSlot,
  type WrittenCost,
  type WrittenSlot,
} from './testing/write-slots.ts';

const password = 'correct horse b\u{e4}ttery';
const customKey = Buffer.from('00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978', 'hex');

/** The sample, and one keyring and commit more with these slots beside that for the recovery code. */
function withSlots(slots: (archiveId: Buffer) => readonly WrittenSlot[]) {
  const sample = makeSample();
  const { writer } = sample;
  writer.slots = slots(writer.archiveId);
  writer.addEpoch();
  writer.commit([]);
  return sample;
}

const everySlot = (archiveId: Buffer): readonly WrittenSlot[] => [
  escrowSlot('all'),
  passwordSlot(archiveId, password.normalize('NFC'), 'all'),
  customKeySlot(archiveId, customKey, 'all'),
];

function save(t: TestContext, writer: ArchiveWriter): string {
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  return folder;
}

async function openedBy(folder: string, secret: Secret) {
  const { report } = await listArchive({ folder, secret });
  return [report.keyringNumber, report.headCommit, report.proven];
}

function opensNothing(slotsFor: readonly string[]) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof RecoverError);
    assert.deepEqual([error.code, error.details['slotsFor']], ['secret.opens_nothing', slotsFor]);
    return true;
  };
}

const later = 'something of a later version';
const escrow = 'escrow, which only the keystore of its organisation opens';

test('an archive opens by its password and by its custom key just as by its recovery code', async (t) => {
  const { writer, contents } = withSlots(everySlot);
  const folder = save(t, writer);
  const secrets: readonly Secret[] = [
    { recoveryCode: writer.recoveryCode },
    { password },
    { password: password.normalize('NFD') },
    { customKey: customKey.toString('hex') },
    { customKey: `${customKey.toString('hex').toUpperCase()}\n` },
    { customKey: ` ${customKey.toString('base64')}\r\n` },
  ];
  for (const [index, secret] of secrets.entries()) {
    const outDir = join(folder, '..', `out ${index}`);
    const report = await recover({ folder, secret, outDir });
    assert.deepEqual([report.keyringNumber, report.headCommit, report.proven, report.complete], [2, 7, true, true]);
    assertFiles(outDir, contents);
  }
});

test('a secret that fits no slot is told what there are slots for, an escrow slot among them', async (t) => {
  const { writer } = withSlots(everySlot);
  const folder = save(t, writer);
  const wrong: readonly Secret[] = [
    { recoveryCode: `${'abandon '.repeat(23)}art` },
    { password: `${password} ` },
    { password: 'correct horse battery' },
    { customKey: customKey.toString('hex').replace('0', '1') },
  ];
  const slotsFor = ['recovery code', escrow, 'archive key password', 'custom key', later];
  for (const secret of wrong) await assert.rejects(listArchive({ folder, secret }), opensNothing(slotsFor));
  for (const secret of [{ recoveryCode: writer.recoveryCode }, { password }, { customKey: customKey.toString('hex') }])
    assert.deepEqual(await openedBy(folder, secret), [2, 7, true]);
});

test('a secret of another kind than the slots opens nothing, and an escrow slot alone is named', async (t) => {
  const bytes = customKey;
  const only = save(t, withSlots(() => [escrowSlot('only')]).writer);
  const slotsFor = ['recovery code', escrow, later];
  for (const secret of [{ password }, { customKey: bytes.toString('hex') }])
    await assert.rejects(listArchive({ folder: only, secret }), opensNothing(slotsFor));
  // The key of one kind of slot is nothing to another: the labels differ.
  const asCode = withSlots((archiveId) => [{ ...customKeySlot(archiveId, bytes, 'odd'), kind: 1 }]).writer;
  const odd = save(t, asCode);
  await assert.rejects(
    listArchive({ folder: odd, secret: { customKey: bytes.toString('hex') } }),
    opensNothing(['recovery code', later]),
  );
  for (const secret of [{ password }, { customKey: bytes.toString('hex') }])
    assert.deepEqual(await openedBy(save(t, withSlots(everySlot).writer), secret), [2, 7, true]);
});

test('a password that was changed opens what was written before, and the new one everything', async (t) => {
  const { writer } = makeSample();
  const { archiveId } = writer;
  writer.slots = [passwordSlot(archiveId, 'the old password', 'old')];
  writer.addEpoch();
  writer.commit([]);
  writer.slots = [passwordSlot(archiveId, 'the new password', 'new')];
  writer.addEpoch();
  writer.commit([]);
  const folder = save(t, writer);
  assert.deepEqual(await openedBy(folder, { password: 'the new password' }), [3, 8, true]);
  assert.deepEqual((await openedBy(folder, { password: 'the old password' })).slice(0, 2), [3, 7]);
});

test('a slot whose parameters are out of bounds is passed over and said, though the password fits it', async (t) => {
  const outside: readonly WrittenCost[] = [
    [19_455, 1, 1],
    [64, 1, 1],
    [19_456, 11, 1],
    [19_456, 1, 5],
  ];
  const inside: readonly WrittenCost[] = [leastCost, [19_457, 1, 1], [19_456, 10, 1], [19_456, 1, 4]];
  for (const [index, cost] of outside.entries()) {
    const refused = withSlots((archiveId) => [passwordSlot(archiveId, password, 'bad', cost)]);
    const folder = save(t, refused.writer);
    const slotsFor = ['recovery code', 'archive key password', later];
    await assert.rejects(listArchive({ folder, secret: { password } }), opensNothing(slotsFor), cost.join());
    assert.deepEqual(await openedBy(folder, { recoveryCode: refused.writer.recoveryCode }), [2, 7, true]);
    const beside = withSlots((archiveId) => [
      passwordSlot(archiveId, password, 'bad', cost),
      passwordSlot(archiveId, password, 'good', inside[index]),
    ]);
    const { report } = await listArchive({ folder: save(t, beside.writer), secret: { password } });
    assert.deepEqual([report.headCommit, report.findingCounts], [7, { 'slot.refused': 1 }]);
  }
});

test('parameters out of bounds cost no work, and those of another form are passed over too', async (t) => {
  const salt = Buffer.alloc(16, 9);
  const forms: readonly (Buffer | undefined)[] = [
    undefined,
    Buffer.alloc(0),
    Buffer.from('ff', 'hex'),
    passwordParameters(salt, [1_048_577, 1, 1]),
    passwordParameters(salt, [1_048_576, 0, 1]),
    passwordParameters(salt, [1_048_576, 11, 1]),
    passwordParameters(salt, [1_048_576, 10, 0]),
    passwordParameters(salt, [1_048_576, 10, 5]),
    passwordParameters(salt, [2 ** 52, 10, 4]),
    passwordParameters(salt.subarray(1), leastCost),
    passwordParameters(salt, leastCost).subarray(0, -1),
    Buffer.concat([passwordParameters(salt, leastCost), Buffer.of(11, 0)]),
  ];
  const { writer } = withSlots((archiveId) => {
    const genuine = passwordSlot(archiveId, password, 'good');
    return [...forms.map((parameters) => ({ ...genuine, parameters: parameters! })), genuine];
  });
  const folder = save(t, writer);
  const before = process.cpuUsage();
  const { report } = await listArchive({ folder, secret: { password } });
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual([report.headCommit, report.findingCounts], [7, { 'slot.refused': forms.length }]);
  // One slot is worked out, in some 50 ms; any of the others would take seconds.
  assert.ok(user + system < 2_000_000, `${user + system} us of CPU`);
});

test('a slot whose commitment does not hold opens nothing, even where its wrap would', async (t) => {
  const slots = (archiveId: Buffer) => [
    passwordSlot(archiveId, password, 'p'),
    customKeySlot(archiveId, customKey, 'c'),
  ];
  const forged = withSlots((archiveId) =>
    slots(archiveId).map((slot) => ({ ...slot, commitment: Buffer.alloc(32, 1) })),
  );
  const [bad, good] = [save(t, forged.writer), save(t, withSlots(slots).writer)];
  for (const secret of [{ password }, { customKey: customKey.toString('base64') }]) {
    await assert.rejects(listArchive({ folder: bad, secret }), { code: 'secret.opens_nothing' });
    assert.deepEqual(await openedBy(good, secret), [2, 7, true]);
  }
});

test('a multitude of forged password slots neither holds the reader up nor hides the genuine one', async (t) => {
  const { writer } = withSlots(everySlot);
  const genuine = { keyring: writer.keyring, devices: writer.devices, slots: writer.slots, epochs: [...writer.epochs] };
  const [, template] = writer.slots;
  const forger = makeDevice(77, 1);
  writer.devices.push({ ...forger, number: 1, firstCommit: 1 });
  for (let number = 0; number < 6; number += 1) {
    writer.slots = Array.from({ length: 40 }, (_, at) => {
      const salt = Buffer.alloc(16, number);
      salt.writeUInt8(at);
      return { ...template!, parameters: passwordParameters(salt, leastCost) };
    });
    writer.writeKeyring(1, Buffer.alloc(32, 7));
  }
  Object.assign(writer, { keyring: genuine.keyring, slots: genuine.slots });
  const folder = save(t, writer);
  const before = process.cpuUsage();
  const { report } = await listArchive({ folder, secret: { password } });
  const { user, system } = process.cpuUsage(before);
  assert.deepEqual([report.keyringNumber, report.headCommit], [2, 7]);
  assert.equal(report.findingCounts['slot.not_tried'], undefined);
  assert.ok(user + system < 2_000_000, `${user + system} us of CPU`);
  const wrong = listArchive({ folder, secret: { password: 'another password' } });
  await assert.rejects(wrong, (error) => error instanceof RecoverError && error.details['slotsNotTried'] === 225);
});

test('a secret that cannot be one is refused before the archive is read, and what can be one is not', async (t) => {
  const folder = save(t, withSlots(everySlot).writer);
  const invalid: readonly Secret[] = [
    { password: '' },
    { password: 'x'.repeat(1025) },
    { password: 'half \u{d83d}' },
    { customKey: '' },
    { customKey: customKey.toString('hex').slice(1) },
    { customKey: `${customKey.toString('hex')}0` },
    { customKey: customKey.toString('base64').replace('=', '') },
    { customKey: customKey.toString('base64').replaceAll(/.=$/g, 'B=') },
    { customKey: `-${customKey.toString('base64').slice(1)}` },
  ];
  for (const secret of invalid) {
    const nowhere = listArchive({ folder: join(folder, 'nowhere'), secret });
    await assert.rejects(nowhere, { code: 'secret.invalid' }, JSON.stringify(secret));
  }
  const possible: readonly Secret[] = [
    { password: 'x' },
    { password: 'x'.repeat(1024) },
    { password: '\u{1f511}'.repeat(256) },
    { customKey: Buffer.alloc(32).toString('base64') },
    { customKey: Buffer.alloc(32, 0xff).toString('base64') },
    { customKey: Buffer.alloc(32, 0xfe).toString('hex') },
  ];
  for (const secret of possible)
    await assert.rejects(listArchive({ folder, secret }), { code: 'secret.opens_nothing' });
});

const main = join(import.meta.dirname, 'main.ts');

test('the program takes a password and a custom key from a file or its input, and one secret alone', (t) => {
  const folder = save(t, withSlots(everySlot).writer);
  const file = (name: string, content: string) => {
    const path = join(folder, '..', name);
    writeFileSync(path, content);
    return path;
  };
  const run = (args: readonly string[], input = '') =>
    spawnSync(process.execPath, [main, folder, '--dry-run', ...args], { encoding: 'utf8', input, timeout: 60_000 });
  const hex = customKey.toString('hex');
  const words = file('password', `${password}\n`);
  for (const args of [
    ['--password-file', words],
    ['--password-file', file('crlf', `${password.normalize('NFD')}\r\n`)],
    ['--custom-key', file('key', hex)],
  ])
    assert.equal(run(args).status, 0, args.join(' '));
  assert.equal(run(['--password-file', '-'], password).status, 0);
  assert.equal(run(['--custom-key', '-'], `${customKey.toString('base64')}\n`).status, 0);
  const refused = [
    run(['--password-file', file('two', `${password}\n\n`)]),
    run(['--password-file', file('latin1', 'x').replace('latin1', 'none')]),
    run(['--password-file', words, '--custom-key', file('key', hex)]),
    run(['--custom-key', words]),
    run([]),
  ];
  assert.deepEqual(
    refused.map(({ status }) => status),
    [2, 2, 2, 2, 2],
  );
  assert.match(refused[0]!.stderr, /escrow, which only the keystore of its organisation opens.*secret\.opens_nothing/);
  assert.match(refused[4]!.stderr, /--key, --read-keys, --recovery-code-file, --password-file, --custom-key/);
});

/** Limits of address space in KiB. What a program has left within the least that it runs in is below 1 GiB. */
const limits = [800_000, 1_500_000, 2_200_000, 2_900_000];

test(
  'a slot that takes more memory than there is, is said and passed over; where nothing else fits, that is the error',
  { skip: process.platform === 'win32' && 'needs a shell with ulimit' },
  (t) => {
    const genuine = withSlots(everySlot).writer;
    const costly = (archiveId: Buffer): WrittenSlot => ({
      ...passwordSlot(archiveId, password, 'costly'),
      parameters: passwordParameters(Buffer.alloc(16, 5), [1_048_576, 1, 1]),
    });
    const beside = withSlots((archiveId) => [
      costly(archiveId),
      passwordSlot(archiveId, password.normalize('NFC'), 'p'),
    ]);
    const alone = withSlots((archiveId) => [costly(archiveId)]);
    const run = (writer: ArchiveWriter, limit: number, input = password) => {
      const script = `ulimit -c 0; ulimit -v ${limit}; exec "$@"`;
      const args = [process.execPath, main, save(t, writer), '--password-file', '-', '--dry-run', '--json'];
      return spawnSync('sh', ['-c', script, 'sh', ...args], { encoding: 'utf8', input, timeout: 60_000 });
    };
    const limit = limits.find((one) => run(genuine, one).status === 0);
    if (limit === undefined) return t.skip('this program does not run in so little address space here');
    const passed = run(beside.writer, limit);
    assert.equal(passed.status, 0, passed.stderr);
    const report = JSON.parse(passed.stdout) as { readonly findingCounts: Readonly<Record<string, number>> };
    assert.equal(report.findingCounts['slot.too_costly'], 1);
    const failed = run(alone.writer, limit);
    assert.equal(failed.status, 6);
    assert.match(failed.stderr, /secret\.too_costly/);
    // One forged slot does not make a wrong password a want of memory.
    const wrong = run(beside.writer, limit, 'another password');
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /slotsTooCostly: 1.*secret\.opens_nothing/);
  },
);
