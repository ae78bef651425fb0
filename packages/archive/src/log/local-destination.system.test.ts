import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { joinBytes } from '../format/cursor.ts';
import { ordinalOf } from '../format/ordinal.ts';
import { seededChance } from './fixtures.ts';
import { fragmentsOf, host, open } from './local-destination.fixture.ts';
import { LogWriter, nameOf } from './log-writer.fixture.ts';
import { nodeDisk } from './node-disk.ts';
import { readLockHost } from './node-host.ts';
import type { CommitName } from './sessions.ts';
import { SimulatedDisk } from './simulated-disk.ts';

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'no error';
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

test('fragments are acknowledged in order with the head, and a destination goes on where it was closed', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 8);
  const disk = new SimulatedDisk();
  let destination = await open(writer, disk);
  let session = await destination.openSession(undefined);
  assert.deepEqual(session, { sessionEpoch: 1, nextFragment: 1, comparison: 'same' });
  for (const [i, { bytes, head }] of fragments.entries()) {
    const receipt = await destination.append(session.sessionEpoch, i + 1, bytes);
    assert.deepEqual(receipt, { status: 'acknowledged', nextFragment: i + 2, ...(head ? { head } : {}) });
    assert.deepEqual(await destination.append(session.sessionEpoch, i + 1, bytes), receipt);
    if (i !== 4) continue;
    await destination.close();
    destination = await open(writer, disk);
    session = await destination.openSession(head);
    assert.deepEqual(session, { sessionEpoch: 2, nextFragment: 6, comparison: 'same', head });
  }
  await destination.close();
});

test('several fragments under way are taken in order, early ones are told to come again', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 7);
  const destination = await open(writer, new SimulatedDisk());
  const { sessionEpoch } = await destination.openSession(undefined);
  assert.deepEqual(await destination.append(sessionEpoch, 3, fragments[2]!.bytes), {
    status: 'early',
    nextFragment: 1,
  });
  const receipts = await Promise.all(fragments.map(({ bytes }, i) => destination.append(sessionEpoch, i + 1, bytes)));
  assert.ok(receipts.every(({ status }) => status === 'acknowledged'));
  assert.deepEqual(destination.state.nextFragment, fragments.length + 1);
  await destination.close();
});

test('fenced sessions, fragments out of order and records that do not fit are refused, and change nothing', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 3);
  const destination = await open(writer, new SimulatedDisk());
  const old = await destination.openSession(undefined);
  const { sessionEpoch } = await destination.openSession(undefined);
  const before = destination.state;
  assert.equal(await code(destination.append(old.sessionEpoch, 1, fragments[0]!.bytes)), 'log.fenced');
  assert.equal(await code(destination.append(sessionEpoch, 40, fragments[0]!.bytes)), 'log.fragment_order');
  assert.equal(await code(destination.append(sessionEpoch, 1, fragments[1]!.bytes)), 'log.record_refused');
  assert.equal(await code(destination.append(sessionEpoch, 1, new Uint8Array(9))), 'log.record_invalid');
  assert.deepEqual(destination.state, before);
  assert.equal(await code(destination.append(sessionEpoch, 1, fragments[0]!.bytes)), 'no error');
  assert.equal(await code(destination.append(sessionEpoch, 1, fragments[1]!.bytes)), 'log.fragment_differs');
  const rewritten = joinBytes(writer.makeBlock(10, 4000), writer.makeCommit(99, undefined));
  assert.equal(await code(destination.append(sessionEpoch, 2, fragments[1]!.bytes)), 'no error');
  assert.equal(await code(destination.append(sessionEpoch, 3, rewritten)), 'log.ordinal_known');
  assert.equal(await code(destination.append(sessionEpoch, 3, fragments[2]!.bytes)), 'no error');
  await destination.close();
});

test('only one holds the lock; a stale one is taken over, one of another machine only on demand', async () => {
  const writer = new LogWriter();
  const disk = new SimulatedDisk();
  const held = await open(writer, disk);
  const others = { ...host, pid: 8, processMark: async (pid: number) => (pid === 7 ? 'seven' : 'eight') };
  const reused = { ...others, processMark: async (pid: number) => (pid === 7 ? 'another seven' : 'eight') };
  const restarted = { ...others, bootId: 'later boot' };
  const elsewhere = { ...others, hostName: 'there' };
  assert.equal(await code(open(writer, disk, { host: others })), 'log.locked');
  assert.equal(await code(open(writer, disk, { host: elsewhere })), 'log.locked');
  await held.close();
  await (await open(writer, disk, { host: others })).close();
  for (const next of [reused, restarted]) {
    const files = disk.files();
    files.set('/d/lock', Buffer.from(JSON.stringify({ ...host, mark: 'seven', token: 'x' })));
    disk.load(files);
    await (await open(writer, disk, { host: next })).close();
  }
  for (const damaged of ['', 'null', '{"pid":', '\0'.repeat(100)]) {
    const files = disk.files();
    files.set('/d/lock', Buffer.from(damaged));
    disk.load(files);
    await (await open(writer, disk, { host: others })).close();
  }
  const files = disk.files();
  files.set('/d/lock', Buffer.from(JSON.stringify({ ...host, mark: 'seven', token: 'x' })));
  disk.load(files);
  assert.equal(await code(open(writer, disk, { host: elsewhere })), 'log.locked');
  await (await open(writer, disk, { host: elsewhere, breakLock: true })).close();
});

test('a real lock holds against another living process and not against a dead one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'local destination '));
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
  try {
    const writer = new LogWriter();
    const real = await readLockHost();
    const mark = await real.processMark(child.pid!);
    const lock = JSON.stringify({ hostName: real.hostName, bootId: real.bootId, pid: child.pid, mark, token: 'other' });
    await writeFile(join(dir, 'lock'), lock);
    assert.equal(await code(open(writer, nodeDisk, { dir, host: real })), 'log.locked');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const destination = await open(writer, nodeDisk, { dir, host: real });
    assert.equal((JSON.parse(await readFile(join(dir, 'lock'), 'utf8')) as { pid: number }).pid, process.pid);
    await destination.close();
  } finally {
    child.kill('SIGKILL');
    await rm(dir, { recursive: true });
  }
});

test('a lost state is made again from the log: head, keyring and writers', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 5);
  const disk = new SimulatedDisk();
  const destination = await open(writer, disk);
  const { sessionEpoch } = await destination.openSession(undefined);
  for (const [i, { bytes }] of fragments.entries()) await destination.append(sessionEpoch, i + 1, bytes);
  const { head, keyring, writers } = destination.state;
  await destination.close();
  const files = disk.files();
  const damages = [
    (state: Buffer) => state.fill(0),
    (state: Buffer) => state.fill(0, 0, 4096),
    (state: Buffer) => state.fill(0, 65_536),
    () => {},
  ];
  for (const damage of damages) {
    const copy = new Map([...files].map(([path, bytes]) => [path, Buffer.from(bytes)]));
    damage(copy.get('/d/state')!);
    disk.load(copy);
    const again = await open(writer, disk);
    assert.deepEqual([again.state.head, again.state.keyring, again.state.writers], [head, keyring, writers]);
    const session = await again.openSession(head);
    assert.equal(session.comparison, 'same');
    const { bytes } = fragments[fragments.length - 1]!;
    assert.equal((await again.append(session.sessionEpoch, session.nextFragment, bytes)).status, 'acknowledged');
    await again.close();
  }
});

test('after a power cut at any call every acknowledged fragment is there and the writer takes up where it was', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 10);
  const run = async (disk: SimulatedDisk, acknowledged: { count: number }) => {
    const destination = await open(writer, disk);
    const session = await destination.openSession(undefined);
    for (const [i, { bytes }] of fragments.entries()) {
      await destination.append(session.sessionEpoch, i + 1, bytes);
      acknowledged.count = i + 1;
    }
    await destination.close();
  };
  const whole = new SimulatedDisk();
  await run(whole, { count: 0 });
  for (let at = 1; at <= whole.calls; at += process.env.HOLDFAST_TEST_FULL ? 1 : 3) {
    const disk = new SimulatedDisk({ chance: seededChance(at) });
    const acknowledged = { count: 0 };
    disk.fault = ({ number }) => (number === at ? { powerCut: true } : undefined);
    await run(disk, acknowledged).catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    disk.cutPower();
    disk.powerOn();
    disk.fault = undefined;
    // The machine was started anew.
    const destination = await open(writer, disk, { host: { ...host, bootId: 'later' } });
    const { head, nextFragment } = destination.state;
    const promised = fragments[acknowledged.count - 1]?.head;
    assert.ok((head?.number ?? 0) >= (promised?.number ?? 0), `call ${at}: head ${head?.number}`);
    assert.ok(nextFragment > acknowledged.count, `call ${at}: fragment ${nextFragment} after ${acknowledged.count}`);
    const session = await destination.openSession(promised);
    for (let i = session.nextFragment; i <= fragments.length; i++) {
      await destination.append(session.sessionEpoch, i, fragments[i - 1]!.bytes);
    }
    assert.deepEqual(destination.state.head?.sha256, fragments[fragments.length - 1]!.head!.sha256);
    const ordinals = [0, 1, ...Array.from({ length: 10 }, (_, i) => [10, 11, 12, 15].map((n) => n + i * 10)).flat()];
    for await (const { status, ordinal } of destination.folder.read(ordinals))
      assert.equal(status, 'found', `${ordinal}`);
    await destination.close();
  }
});

test('a folder that is renamed, removed, replaced or cut while it is open acknowledges nothing more, one left alone goes on', async (t) => {
  const mishaps: Record<string, (dir: string) => Promise<unknown>> = {
    none: async () => undefined,
    renamed: (dir) => rename(dir, `${dir} away`),
    removed: (dir) => rm(dir, { recursive: true }),
    replaced: async (dir) => {
      await rename(dir, `${dir} away`);
      await cp(`${dir} away`, dir, { recursive: true });
    },
    emptied: async (dir) => {
      await rm(join(dir, 'segments'), { recursive: true });
      await mkdir(join(dir, 'segments'));
    },
    cut: (dir) => truncate(join(dir, 'segments', '0000000001.seg'), 300),
  };
  for (const [name, mishap] of Object.entries(mishaps)) {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast moved '));
    t.after(() => rm(folder, { recursive: true }));
    const dir = join(folder, 'archive');
    const writer = new LogWriter();
    const [first, second] = fragmentsOf(writer, 2);
    const destination = await open(writer, nodeDisk, { dir });
    const { sessionEpoch } = await destination.openSession(undefined);
    await destination.append(sessionEpoch, 1, first!.bytes);
    await destination.folder.expectInPlace();
    await mishap(dir);
    const isAlone = name === 'none';
    assert.equal(await code(destination.folder.expectInPlace()), isAlone ? 'no error' : 'log.moved', name);
    const appended = await code(destination.append(sessionEpoch, 2, second!.bytes));
    assert.equal(appended, isAlone ? 'no error' : 'log.poisoned', name);
    await destination.close();
    if (name !== 'renamed') continue;
    await rename(`${dir} away`, dir);
    const again = await open(writer, nodeDisk, { dir });
    assert.equal(
      (await again.openSession(first!.head)).comparison,
      'same',
      'the lock it took with it holds nobody off',
    );
    await again.close();
  }
});

test('an older copy of the segments shows the head it has, and the state beside it does not speak for what is gone', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast older '));
  t.after(() => rm(dir, { recursive: true }));
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 3);
  const heads: (CommitName | undefined)[] = [];
  for (const copy of ['older', 'none', 'gone'] as const) {
    const at = join(dir, copy);
    const destination = await open(writer, nodeDisk, { dir: at });
    const { sessionEpoch, nextFragment } = await destination.openSession(undefined);
    for (const [place, { bytes }] of fragments.entries()) {
      await destination.append(sessionEpoch, nextFragment + place, bytes);
      if (place === 2) await cp(join(at, 'segments'), `${at} copy`, { recursive: true });
    }
    await destination.close();
    if (copy !== 'none') await rm(join(at, 'segments'), { recursive: true });
    if (copy === 'older') await cp(`${at} copy`, join(at, 'segments'), { recursive: true });
    if (copy === 'gone') for (const name of ['copies', 'keys', 'index']) await rm(join(at, name), { recursive: true });
    const again = await open(writer, nodeDisk, { dir: at });
    const answer = await again.openSession(fragments.at(-1)?.head);
    assert.equal(again.folder.isBehind, copy !== 'none', copy);
    assert.equal(answer.nextFragment, fragments.length + 1, 'fragment numbers are never given twice');
    heads.push(answer.head);
    await again.close();
  }
  assert.deepEqual(heads, [fragments[2]!.head, fragments[3]!.head, undefined]);
});

test('a log that leaves its tail goes on behind an older commit, keeps what it has, and does so after it was closed or lost its state', async () => {
  for (const isStateLost of [false, true]) {
    const writer = new LogWriter();
    const fragments = fragmentsOf(writer, 6);
    const disk = new SimulatedDisk();
    let destination = await open(writer, disk);
    let { sessionEpoch } = await destination.openSession(undefined);
    for (const [i, { bytes }] of fragments.entries()) await destination.append(sessionEpoch, i + 1, bytes);
    const fork = fragments[4]!.head!;
    const next = writer.makeKeyring({ firstCommit: 5 });
    const refused = destination.append(sessionEpoch, 8, next);
    assert.equal(await code(refused), 'log.record_refused', 'it would sign commits that are there');

    const other = { ...fork, sha256: fragments[3]!.head!.sha256 };
    assert.equal(await code(destination.leaveTail(sessionEpoch, other)), 'log.commit_missing');
    assert.equal(await code(destination.leaveTail(sessionEpoch - 1, fork)), 'log.fenced');
    assert.equal(destination.state.head?.number, 6);
    await destination.leaveTail(sessionEpoch, fork);
    await destination.close();
    destination = await open(writer, disk);
    const session = await destination.openSession(fork);
    assert.deepEqual([session.comparison, session.head], ['same', fork]);
    ({ sessionEpoch } = session);
    const commit = writer.makeCommit(ordinalOf(1, 5), fork, { key: writer.keys[1]! });
    await destination.append(
      sessionEpoch,
      session.nextFragment,
      joinBytes(next, writer.makeBlock(ordinalOf(1, 4), 700), commit),
    );
    await destination.close();
    if (isStateLost) await disk.remove('/d/state');
    destination = await open(writer, disk);
    assert.deepEqual((await destination.openSession(undefined)).head, nameOf(5, commit), 'the line is what counts');
    for (const ordinal of [50, 51, 52, 55, 60, 61, 62, 65]) {
      assert.equal((await destination.folder.readOne(ordinal)).status, 'found', 'the tail stays');
    }
    await destination.close();
  }
});
