import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { listArchive, type RecoverReport, type Secret } from './index.ts';
import { derived, type Device, makeDevice } from './testing/device.ts';
import { makeSample, temporaryFolder } from './testing/sample-archive.ts';
import { asSomebody } from './testing/somebody.ts';
import type { ArchiveWriter } from './testing/write-archive.ts';

const garbage = derived('garbage');
const nobody = Buffer.alloc(32, 7);

/** Commits 1 to 6 of writer 0 in epoch 0, with keyring 1; then what is done. */
function sampleWith(act: (writer: ArchiveWriter) => void): ArchiveWriter {
  const { writer } = makeSample();
  act(writer);
  return writer;
}

function save(t: TestContext, writer: ArchiveWriter): string {
  const folder = join(temporaryFolder(t), 'archive');
  writer.save(folder);
  return folder;
}

const secretsOf = (writer: ArchiveWriter): readonly Secret[] => [
  { recoveryCode: writer.recoveryCode },
  { keyFile: writer.keyFile },
];

async function reportsOf(t: TestContext, writer: ArchiveWriter, keyring?: string): Promise<readonly RecoverReport[]> {
  const folder = save(t, writer);
  const request = keyring === undefined ? { folder } : { folder, keyring };
  const listings = secretsOf(writer).map((secret) => listArchive({ ...request, secret }));
  return (await Promise.all(listings)).map(({ report }) => report);
}

const headAndKeyring = (reports: readonly RecoverReport[]) =>
  reports.map(({ headCommit, keyringNumber, proven }) => [headCommit, keyringNumber, proven]);

const has = (report: RecoverReport | undefined, code: string): boolean => (report?.findingCounts[code] ?? 0) > 0;
const firstKeyring = (writer: ArchiveWriter) => ({ number: 1, hash: keyringHash(writer, 1) });

function keyringHash(writer: ArchiveWriter, number: number): Buffer {
  const record = writer.records.filter(({ kind }) => kind === 2)[number - 1]!;
  return writer.hashOf(record);
}

/** A device that stays, beside writer 0, whatever its number would be. */
const stranger = (number: number, firstCommit: number): Device => ({
  ...makeDevice(77, firstCommit),
  number,
  origin: 4,
});

test('a live endpoint that adds a keyring with a garbage epoch, or with old ones alone, takes nothing away', async (t) => {
  const withEpoch = (writer: ArchiveWriter): void => {
    writer.addEpoch();
    writer.commit([]);
  };
  const genuine = sampleWith(withEpoch);
  assert.deepEqual(headAndKeyring(await reportsOf(t, genuine)), [
    [7, 2, true],
    [7, 2, true],
  ]);
  const first = genuine.epochs.get(0)!;
  for (const epochs of [
    [[0, garbage]],
    [[0, first]],
    [
      [0, first],
      [1, garbage],
    ],
    [[2, garbage]],
  ] as const) {
    const writer = sampleWith(withEpoch);
    asSomebody(writer, { epochs }, () => writer.writeKeyring(0));
    const [byCode, byFile] = await reportsOf(t, writer);
    assert.deepEqual([byCode?.headCommit, byCode?.keyringNumber, byCode?.proven], [7, 2, true], JSON.stringify(epochs));
    assert.ok(has(byCode, 'keyring.other_epochs'));
    assert.equal(byFile?.headCommit, 7);
  }
});

test('a record opens with whichever of the keys of its epoch it was sealed, on whatever side of a fork', async (t) => {
  const writer = sampleWith((one) => {
    // The same number, twice: one of them is read, and both epochs are tried.
    const epochs = [...one.epochs, [1, garbage] as const];
    asSomebody(one, { epochs }, () => one.writeKeyring(0));
    one.addEpoch();
    one.commit([]);
  });
  const folder = save(t, writer);
  const secret = { recoveryCode: writer.recoveryCode };
  for (const number of [2, 3]) {
    const keyring = keyringHash(writer, number).toString('hex');
    const { report } = await listArchive({ folder, secret, keyring });
    assert.deepEqual([report.headCommit, report.proven, has(report, 'keyring.fork')], [7, false, true]);
  }
  assert.equal((await listArchive({ folder, secret })).report.headCommit, 7);
});

/** Writer 0 ends where it introduces writer 1, who begins an epoch and writes commit 7. */
function withSuccessor(options: { readonly introduced: boolean; readonly entropy?: Buffer }): ArchiveWriter {
  return sampleWith((writer) => {
    writer.devices.push({ ...makeDevice(1, 7), introduced: options.introduced, origin: options.introduced ? 3 : 4 });
    writer.epochs.set(1, derived('epoch', 1));
    writer.epoch = 1;
    writer.writeKeyring(1, options.entropy);
    writer.commit([]);
  });
}

type Attack = (writer: ArchiveWriter) => void;

/** What an ended writer 0 can do with his seed, the epochs he had and every P. */
const endedWriterAttacks: Readonly<Record<string, Attack>> = {
  'a garbage epoch': (writer) => ended(writer, [[0, garbage]], () => writer.writeKeyring(0)),
  'the old epochs': (writer) => ended(writer, [[0, writer.epochs.get(0)!]], () => writer.writeKeyring(0)),
  'keyring 99 without slots, and a commit under the old epoch that names it': (writer) =>
    ended(writer, [[0, writer.epochs.get(0)!]], () => {
      Object.assign(writer, { keyring: { number: 98, hash: garbage } });
      writer.writeKeyring(0, nobody);
      writer.commit([], { number: 8, writer: 0 });
    }),
  'keyrings without slots, and a commit under the old epoch that names the last': (writer) =>
    ended(writer, [[0, writer.epochs.get(0)!]], () => {
      for (let count = 0; count < 5; count += 1) writer.writeKeyring(0, nobody);
      writer.commit([], { number: 8, writer: 0 });
    }),
};

function ended(writer: ArchiveWriter, epochs: readonly (readonly [number, Buffer])[], act: () => void): void {
  const devices = writer.devices.slice(0, 1);
  asSomebody(writer, { devices, epochs, keyring: firstKeyring(writer) }, act);
}

test('an ended writer does not get before the successor whom he introduced, whatever he adds', async (t) => {
  assert.deepEqual(headAndKeyring(await reportsOf(t, withSuccessor({ introduced: true }))), [
    [7, 2, true],
    [7, 2, true],
  ]);
  for (const [name, attack] of Object.entries(endedWriterAttacks)) {
    const writer = withSuccessor({ introduced: true });
    attack(writer);
    const [byCode, byFile] = await reportsOf(t, writer);
    for (const report of [byCode, byFile]) assert.deepEqual([report?.headCommit, report?.keyringNumber], [7, 2], name);
    assert.ok(has(byFile, 'keyring.fork') && has(byFile, 'keyring.side') && byFile?.proven === false, name);
    // What the secret opens and does not go on with the keys is no side.
    assert.ok(has(byCode, name === 'a garbage epoch' ? 'keyring.other_epochs' : 'keyring.fork'), name);
  }
});

test('where the successor came in by code, a new code and a key file of its epoch tell the two lives apart', async (t) => {
  const entropy = derived('new code');
  for (const [name, attack] of Object.entries(endedWriterAttacks)) {
    const writer = withSuccessor({ introduced: false, entropy });
    attack(writer);
    Object.assign(writer, { entropy, recoveryCode: writer.codeOf(entropy) });
    const reports = await reportsOf(t, writer);
    for (const report of reports) assert.deepEqual([report.headCommit, report.keyringNumber], [7, 2], name);
    for (const report of reports) assert.ok(has(report, 'keyring.fork') && has(report, 'keyring.not_introduced'), name);
  }
});

test('of a fork that nothing decides, each side is read when its keyring is told', async (t) => {
  const writer = withSuccessor({ introduced: false });
  ended(writer, [[0, writer.epochs.get(0)!]], () => {
    writer.commits.pop();
    writer.writeKeyring(0);
    writer.commit([], { number: 7, writer: 0, at: 5 });
    writer.commit([], { number: 8, writer: 0, at: 6 });
  });
  const folder = save(t, writer);
  const secret = { recoveryCode: writer.recoveryCode };
  const hash = (number: number) => keyringHash(writer, number).toString('hex');
  const read = async (keyring: string) => {
    const { report } = await listArchive({ folder, secret, keyring });
    return [report.headCommit, report.proven, has(report, 'keyring.fork')];
  };
  for (const told of [hash(2), hash(2).slice(0, 8).toUpperCase()]) assert.deepEqual(await read(told), [7, false, true]);
  for (const told of [hash(3), hash(3).slice(0, 8)]) assert.deepEqual(await read(told), [8, false, true]);
  const { report } = await listArchive({ folder, secret });
  const side = report.findings.find(({ code }) => code === 'keyring.side')?.message ?? '';
  assert.equal(report.headCommit, 8);
  assert.ok(side.includes(hash(2)), side);
  for (const told of ['', 'xyz', `${hash(2)}0`])
    await assert.rejects(listArchive({ folder, secret, keyring: told }), { code: 'request.invalid' });
  const none = hash(2).slice(0, 63) + (hash(2).endsWith('0') ? '1' : '0');
  await assert.rejects(listArchive({ folder, secret, keyring: none }), { code: 'keyring.not_found' });
  const run = (told: string) => {
    const args = [join(import.meta.dirname, 'main.ts'), folder, '--recovery-code-file', '-', '--dry-run', '--json'];
    const options = { encoding: 'utf8', input: writer.recoveryCode, timeout: 60_000 } as const;
    return spawnSync(process.execPath, [...args, '--keyring', told], options);
  };
  const { status, stdout } = run(hash(2));
  assert.deepEqual([status, (JSON.parse(stdout) as { headCommit: number }).headCommit], [3, 7]);
  assert.deepEqual([run('no hash').status, run(none).status], [2, 4]);
});

/** Somebody who once opened ring 2 lists himself, with its epochs and every P, in keyring 3 or behind a gap. */
function hangBehind(writer: ArchiveWriter, firstCommit: number, number: number): void {
  const devices = [...writer.devices, stranger(2, firstCommit)];
  const keyring = number === 3 ? writer.keyring : { number: number - 1, hash: garbage };
  asSomebody(writer, { devices, keyring }, () => {
    writer.writeKeyring(2);
    writer.commit([], { writer: 2, number: Math.max(firstCommit, 9) });
  });
}

test('in a line that goes on from a recovery code, who once opened a ring stands behind what its writer signed', async (t) => {
  const genuine = withSuccessor({ introduced: false });
  genuine.commit([]);
  const expected = [8, 2, false];
  assert.deepEqual(headAndKeyring(await reportsOf(t, genuine)), [expected, expected]);
  for (const number of [3, 99]) {
    for (const firstCommit of [1, 7, 8]) {
      const writer = withSuccessor({ introduced: false });
      writer.commit([]);
      hangBehind(writer, firstCommit, number);
      const reports = await reportsOf(t, writer);
      assert.deepEqual(headAndKeyring(reports), [expected, expected], `${number} ${firstCommit}`);
      for (const report of reports) assert.ok(has(report, 'keyring.fork') && has(report, 'keyring.side'));
    }
    // Behind the head there is nothing that he takes away; he is named.
    const behind = withSuccessor({ introduced: false });
    behind.commit([]);
    hangBehind(behind, 9, number);
    for (const report of await reportsOf(t, behind)) {
      assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [9, number, false]);
      assert.ok(report.findings.some(({ message }) => message.startsWith('writer 2, which may sign from commit 9')));
      assert.equal(has(report, 'keyring.before_missing'), number === 99);
    }
  }
});

test('a keyring that follows nothing does not count, is said, and is read when it is told', async (t) => {
  const writer = sampleWith((one) => one.addDevice(7, { introduced: true }));
  const devices = [writer.devices[0]!, stranger(1, 1)];
  asSomebody(writer, { devices }, () => writer.writeKeyring(1));
  const told = keyringHash(writer, 3).toString('hex');
  for (const report of await reportsOf(t, writer)) {
    assert.deepEqual([report.headCommit, report.keyringNumber], [6, 2]);
    assert.ok(has(report, 'keyring.unlinked'));
  }
  for (const report of await reportsOf(t, writer, told)) {
    assert.deepEqual([report.keyringNumber, report.proven], [3, false]);
    assert.ok(has(report, 'keyring.alone') && has(report, 'keyring.beside'));
  }
});

test('a newest keyring that neither the secret nor a commit speaks for is unproven, and proven where one does', async (t) => {
  const silent = sampleWith((writer) => writer.writeKeyring(0, nobody));
  for (const report of await reportsOf(t, silent)) {
    assert.deepEqual([report.headCommit, report.keyringNumber, report.proven], [6, 2, false]);
    assert.ok(has(report, 'keyring.unproven'));
  }
  const named = sampleWith((writer) => {
    writer.writeKeyring(0, nobody);
    writer.commit([]);
  });
  for (const report of await reportsOf(t, named)) assert.deepEqual([report.headCommit, report.proven], [7, true]);
});

test('an epoch of a suite that is not known opens nothing and is said', async (t) => {
  const writer = sampleWith((one) => {
    one.suites.set(1, 9);
    asSomebody(one, { epochs: [...one.epochs, [1, garbage]] }, () => one.writeKeyring(0));
  });
  const [byCode] = await reportsOf(t, writer);
  assert.deepEqual([byCode?.headCommit, byCode?.keyringNumber, byCode?.proven], [6, 2, true]);
  assert.equal(byCode?.findingCounts['epoch.unknown_suite'], 1);
});
