import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseRecordHeader, RecordKind, type ReadableDestination } from '@holdfast/archive';
import type { Caller } from '../browse/caller.ts';
import { removeTree } from '../filesystem/remove-tree.ts';
import { noise } from '../restore/fixtures.ts';
import { RestoringDevice } from '../restore/testing.ts';
import { restoreForCaller } from './restore-for-caller.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root';
const [anna, bert] = [12_001, 12_002];

function callerOf(uid: number, isPrivileged = false): Caller {
  return { uid, gid: uid, userNames: new Set(), groups: new Map([[uid, new Set()]]), isPrivileged };
}

/** A long file of Anna's, and many small ones of hers among those of Bert's, so that they lie in the same bundle. */
async function scene(t: TestContext) {
  const device = new RestoringDevice();
  t.after(() => removeTree(device.folder));
  chmodSync(device.folder, 0o711);
  const tree = device.newFolder('tree');
  chmodSync(tree, 0o755);
  for (let number = 0; number < 40; number++) {
    for (const [name, uid] of Object.entries({ anna, bert })) {
      const file = `${tree}/${number} of ${name}`;
      writeFileSync(file, `${secretOf(name)} ${number}`);
      own(file, uid, 0o600);
    }
  }
  writeFileSync(`${tree}/long`, noise(12_000_000, 1));
  own(`${tree}/long`, anna, 0o600);
  await device.backup(tree);
  const home = device.newFolder('home of anna');
  own(home, anna, 0o700);
  return { device, tree, home };
}

function own(file: string, uid: number, mode: number): void {
  chownSync(file, uid, uid);
  chmodSync(file, mode);
}

function secretOf(name: string): string {
  return `${name} wrote this down and tells nobody`;
}

/** A restore that waits, once what is in small files was given and nothing else, for what `look` has to see. */
async function restore(
  { device, tree, home }: Awaited<ReturnType<typeof scene>>,
  caller: Caller,
  look: () => Promise<void> = () => Promise.resolve(),
) {
  const archive = { state: () => device.state(), openKeys: device.openKeys };
  const destination: ReadableDestination = {
    name: 'slow',
    async *read(ordinals, signal) {
      const records = await bundlesFirst(device.destination.read(ordinals));
      const lastBundle = records.findLastIndex(isBundle);
      for (const [place, record] of records.entries()) {
        signal?.throwIfAborted();
        yield record;
        // Planning reads single records, without a signal. What comes later overwrites what was written before.
        if (signal && place === lastBundle) await look();
      }
    },
  };
  const wanted = { commit: device.state().head, deleted: false, onConflict: 'rename', setuid: false } as const;
  return restoreForCaller(
    { archive, destinations: { sessions: () => [destination] }, protector: { reach: () => Promise.resolve() } },
    caller,
    { ...wanted, paths: [Buffer.from(tree)], target: Buffer.from(home) },
    { signal: new AbortController().signal, onProgress: () => undefined },
  );
}

const isBundle = (record: Uint8Array) => parseRecordHeader(record).kind === RecordKind.bundle;

/** Whatever workers finished first when it was stored: what is in small files is written before anybody looks. */
async function bundlesFirst(records: AsyncIterable<Uint8Array>): Promise<readonly Uint8Array[]> {
  return (await Array.fromAsync(records)).toSorted((a, b) => Number(isBundle(b)) - Number(isBundle(a)));
}

/** Children of this process that write for a user. */
function writers(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid)) return [];
    try {
      const isChild = new RegExp(`^PPid:\\s*${process.pid}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return isChild && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('write-process') ? [pid] : [];
    } catch {
      return [];
    }
  });
}

/** Which of some byte strings lie in the memory that a process may write to. */
function foundIn(pid: number, wanted: Readonly<Record<string, Uint8Array>>): string[] {
  const found = new Set<string>();
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  const step = 4 * 1024 * 1024;
  const overlap = Math.max(...Object.values(wanted).map(({ length }) => length));
  const buffer = Buffer.alloc(step + overlap);
  for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const end = Number.parseInt(to, 16);
    for (let at = Number.parseInt(from, 16); at < end; at += step) {
      const bytes = buffer.subarray(0, readOrNothing(fd, buffer.subarray(0, Math.min(buffer.length, end - at)), at));
      for (const name of Object.keys(wanted).filter((each) => bytes.includes(wanted[each]!))) found.add(name);
    }
  }
  closeSync(fd);
  return [...found].toSorted();
}

function readOrNothing(fd: number, into: Uint8Array, at: number): number {
  try {
    return readSync(fd, into, 0, into.length, at);
  } catch {
    // Memory that was never touched, or that a device has.
    return 0;
  }
}

/** The epoch keys of a device and what is derived of them to open records. */
function keysOf({ keys, openKeys }: RestoringDevice): Record<string, Uint8Array> {
  const held: Record<string, Uint8Array> = {};
  for (const { number, key } of keys.ring.epochs) held[`epoch ${number}`] = key;
  for (const [number, { data, metadata }] of openKeys.ring) {
    held[`data ${number}`] = data;
    held[`metadata ${number}`] = metadata;
  }
  return held;
}

/** A process that was told byte strings in hexadecimal and holds them. */
async function holder(t: TestContext, held: Readonly<Record<string, Uint8Array>>): Promise<ChildProcess> {
  const script = `process.stdin.once('data', (text) => {
    globalThis.held = String(text).split(' ').map((hex) => Uint8Array.fromHex(hex));
    process.stdout.write('held');
  });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  child.stdin.write(
    Object.values(held)
      .map((bytes) => bytes.toHex())
      .join(' '),
  );
  await once(child.stdout, 'data');
  return child;
}

test(
  'the process that writes for a user never holds a key, nor what another user wrote',
  { skip: needsRoot },
  async (t) => {
    const at = await scene(t);
    const keys = keysOf(at.device);
    assert.ok(Object.keys(keys).length >= 3);
    const others = { bert: Buffer.from(secretOf('bert')) };
    const own = { anna: Buffer.from(secretOf('anna')) };
    let seen: string[] | undefined;
    const report = await restore(at, callerOf(anna), async () => {
      const [pid] = writers();
      assert.ok(pid !== undefined);
      // Its memory has what it wrote some time before: the scan sees what is there.
      for (let tries = 0; tries < 100 && !seen?.includes('anna'); tries++) {
        seen = foundIn(pid, { ...keys, ...others, ...own });
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    assert.deepEqual(seen, ['anna']);
    assert.deepEqual([report.failedCount, report.restored], [0, 41]);
    assert.equal(readFileSync(path.join(at.home, 'tree/7 of anna'), 'utf8'), `${secretOf('anna')} 7`);
    assert.deepEqual(readFileSync(path.join(at.home, 'tree/long')), Buffer.from(noise(12_000_000, 1)));
    assert.equal(statSync(path.join(at.home, 'tree/long')).uid, anna);
    assert.equal(readdirSync(path.join(at.home, 'tree')).length, 41);
    assert.deepEqual(writers(), []);

    const counterpart = await holder(t, { ...keys, ...others });
    assert.deepEqual(
      foundIn(counterpart.pid!, { ...keys, ...others, ...own }),
      Object.keys({ ...keys, ...others }).toSorted(),
    );
  },
);

test(
  'another process of the user can neither read nor trace the one that writes for them',
  { skip: needsRoot },
  async (t) => {
    const at = await scene(t);
    const asAnna = (pid: number) =>
      spawnSync('/bin/cat', [`/proc/${pid}/environ`], { uid: anna, gid: anna, stdio: 'ignore', timeout: 10_000 })
        .status;
    const ordinary = spawn('/bin/sleep', ['60'], { uid: anna, gid: anna, stdio: 'ignore' });
    t.after(() => ordinary.kill('SIGKILL'));
    await once(ordinary, 'spawn');
    let isSeen = false;
    await restore(at, callerOf(anna), () => {
      const [pid] = writers();
      assert.ok(pid !== undefined);
      assert.match(
        readFileSync(`/proc/${pid}/status`, 'utf8'),
        new RegExp(`^Uid:\\s*${anna}\\s+${anna}\\s+${anna}\\s`, 'm'),
      );
      assert.equal(statSync(`/proc/${pid}/mem`).uid, 0);
      assert.notEqual(asAnna(pid), 0);
      isSeen = true;
      return Promise.resolve();
    });
    assert.ok(isSeen);
    assert.equal(statSync(`/proc/${ordinary.pid}/mem`).uid, anna);
    assert.equal(asAnna(ordinary.pid!), 0);
  },
);

test('no signal of the user opens a debugger in the process that writes for them', { skip: needsRoot }, async (t) => {
  const at = await scene(t);
  const ordinary = spawn(process.execPath, ['-e', 'console.log(1);setInterval(()=>{},1e6)'], { stdio: 'pipe' });
  t.after(() => ordinary.kill('SIGKILL'));
  await once(ordinary.stdout, 'data');
  let isHeard: boolean | undefined;
  await restore(at, callerOf(anna), () => {
    const [pid] = writers();
    assert.ok(pid !== undefined);
    isHeard = catchesUserSignal(pid);
    return Promise.resolve();
  });
  assert.equal(isHeard, false);
  assert.equal(catchesUserSignal(ordinary.pid!), true);
});

/** Whether a process has a handler for SIGUSR1, at which Node opens its debugger to all users of the machine. */
function catchesUserSignal(pid: number): boolean {
  const [, mask = ''] = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals.SIGUSR1 - 1))) !== 0n;
}

test(
  'a user has two restores under way at most, and whoever else asks does not wait for them',
  { skip: needsRoot },
  async (t) => {
    const at = await scene(t);
    const bertsHome = at.device.newFolder('home of bert');
    own(bertsHome, bert, 0o700);
    let most = 0;
    let isBertDone = false;
    let restoreOfBert: Promise<unknown> | undefined;
    const look = async () => {
      most = Math.max(most, writers().length - (restoreOfBert && !isBertDone ? 1 : 0));
      restoreOfBert ??= restore({ ...at, home: bertsHome }, callerOf(bert)).then(() => (isBertDone = true));
      await restoreOfBert;
    };
    const reports = await Promise.all([1, 2, 3, 4, 5].map(() => restore(at, callerOf(anna), look)));
    assert.deepEqual(
      reports.map(({ restored, failedCount }) => [restored, failedCount]),
      Array.from({ length: 5 }, () => [41, 0]),
    );
    assert.equal(most, 2);
    assert.ok(isBertDone);
  },
);

test(
  'a user gets what they may not write as an error, and root gets everything with its owners',
  { skip: needsRoot },
  async (t) => {
    const at = await scene(t);
    await assert.rejects(restore({ ...at, home: '/root/holdfast-of-anna' }, callerOf(anna)), {
      code: 'files.permission_denied',
    });
    await assert.rejects(restore(at, callerOf(bert)), { code: 'files.permission_denied' });
    assert.deepEqual(writers(), []);
    const report = await restore(at, callerOf(0, true));
    assert.deepEqual([report.failedCount, report.restored], [0, 81]);
    assert.equal(statSync(path.join(at.home, 'tree/7 of bert')).uid, bert);
    assert.equal(statSync(path.join(at.home, 'tree/7 of anna')).uid, anna);
  },
);

test(
  'a restore whose process is killed ends with an error and leaves no process behind',
  { skip: needsRoot },
  async (t) => {
    const at = await scene(t);
    const killed = restore(at, callerOf(anna), async () => {
      for (const pid of writers()) process.kill(pid, 'SIGKILL');
      await new Promise((resolve) => setImmediate(resolve));
    });
    await assert.rejects(killed, { code: 'restore.worker_died' });
    assert.deepEqual(writers(), []);
  },
);
