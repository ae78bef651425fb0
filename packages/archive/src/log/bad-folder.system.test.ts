import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import type { Disk } from './disk.ts';
import { fragmentsOf, open } from './local-destination.fixture.ts';
import type { LocalDestination } from './local-destination.ts';
import { LogWriter } from './log-writer.fixture.ts';
import { SimulatedDisk } from './simulated-disk.ts';

/** A disk that counts the files that are open; of the closes, one fails. */
function counting(
  disk: Disk,
  failingClose: number,
): { readonly disk: Disk; readonly open: Set<string>; readonly closes: () => number } {
  const open = new Set<string>();
  let opened = 0;
  let closed = 0;
  const counted: Disk = {
    ...boundTo(disk),
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      const name = `${path} (${mode}, ${++opened})`;
      open.add(name);
      const close = async () => {
        open.delete(name);
        await file.close();
        if (++closed === failingClose) throw Object.assign(new Error('close'), { code: 'EIO', syscall: 'close' });
      };
      return { ...boundTo(file), close };
    },
  };
  return { disk: counted, open, closes: () => closed };
}

/** An object with all methods of another, bound to it. */
function boundTo<T extends object>(object: T): T {
  const names = [...Object.keys(object), ...Object.getOwnPropertyNames(Object.getPrototypeOf(object))];
  const methods = names.map((name) => [name, Reflect.get(object, name) as unknown] as const);
  const bound = methods.flatMap(([name, method]) =>
    typeof method === 'function' ? [[name, (method as (...values: unknown[]) => unknown).bind(object)]] : [],
  );
  return Object.fromEntries(bound) as T;
}

test('whichever call of the disk fails, no file stays open', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 8);
  const simulated = new SimulatedDisk();
  const before = await open(writer, simulated);
  const session = await before.openSession(undefined);
  for (const [i, { bytes }] of fragments.slice(0, 7).entries()) await before.append(session.sessionEpoch, i + 1, bytes);
  const files = simulated.files();
  /** Where the call fails: opening recovers what was not closed, then something is added, sealed and closed. */
  const run = async (failing: number, failure: string, failingClose = 0) => {
    simulated.load(files);
    simulated.fault = undefined;
    const first = simulated.calls;
    simulated.fault = ({ number }) => (number === first + failing ? { code: failure } : undefined);
    const { disk, open: stillOpen, closes } = counting(simulated, failingClose);
    let destination: LocalDestination | undefined;
    try {
      destination = await open(writer, disk, { breakLock: true });
      const { sessionEpoch, nextFragment } = await destination.openSession(undefined);
      for (const [i, { bytes }] of fragments.slice(7).entries()) {
        await destination.append(sessionEpoch, nextFragment + i, bytes);
      }
      await destination.folder.seal();
    } catch {
      // What fails, and how, is the business of other tests.
    }
    await destination?.close().catch(() => undefined);
    assert.deepEqual([...stillOpen], [], `${failure} at call ${failing}`);
    return { calls: simulated.calls - first, closes: closes() };
  };
  const { calls, closes } = await run(0, 'EIO');
  assert.ok(calls > 100 && closes > 10);
  for (const failure of ['EIO', 'ENOSPC']) {
    for (let failing = 1; failing <= calls; failing++) await run(failing, failure);
  }
  for (let failing = 1; failing <= closes; failing++) await run(0, 'EIO', failing);
});

/** A line of the catalogue and the newer slot of the state, as whoever writes in the folder can make them: checksums and all. */
function catalogueWith(value: unknown, text = JSON.stringify(value)): Buffer {
  return Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}\n`);
}

function stateWith(value: unknown, counter = 1_000_000, json = JSON.stringify(value)): Buffer {
  const text = Buffer.from(json);
  const bytes = Buffer.alloc(128 * 1024);
  bytes.writeUInt32LE(text.length, 0);
  bytes.writeUIntLE(counter, 8, 6);
  text.copy(bytes, 16);
  bytes.writeUInt32LE(crc32(bytes.subarray(8, 16 + text.length)), 4);
  return bytes;
}

test('what a folder says of itself in a wrong shape counts for nothing, whatever its checksum', async () => {
  const writer = new LogWriter();
  const fragments = fragmentsOf(writer, 8);
  const disk = new SimulatedDisk();
  const before = await open(writer, disk);
  const session = await before.openSession(undefined);
  for (const [i, { bytes }] of fragments.slice(0, 8).entries()) await before.append(session.sessionEpoch, i + 1, bytes);
  await before.close();
  const files = disk.files();
  const head = fragments[7]?.head;
  const next = fragments[8]!.bytes;
  const opened = async (file: string, bytes: Buffer | undefined) => {
    disk.load(bytes ? new Map([...files, [file, bytes]]) : files);
    const destination = await open(writer, disk);
    const answer = await destination.openSession(head);
    const receipt = await destination.append(answer.sessionEpoch, answer.nextFragment, next);
    await destination.folder.status();
    await destination.close();
    return [answer.head, receipt.status];
  };
  const place = { folder: 'segments', segment: 1, state: 'sealed', endOffset: 100, fileBytes: 100 };
  const whole = { ...place, kinds: { 2: [1, 10] }, ranges: [[0, 5, 6]] };
  const summaries = [
    null,
    1,
    'x',
    [],
    {},
    place,
    { ...whole, kinds: null },
    { ...whole, kinds: { 2: 7 } },
    { ...whole, kinds: { 2: ['a', 1] } },
    { ...whole, ranges: [1] },
    { ...whole, ranges: [['a', 0, 0]] },
    { ...whole, ranges: {} },
    { ...whole, folder: '..' },
    { ...whole, segment: -1 },
    { ...whole, segment: 2 ** 60 },
    { ...whole, endOffset: '1' },
    { ...whole, state: 'open' },
  ];
  for (const summary of summaries) {
    const seen = await opened('/d/index/catalogue', catalogueWith(summary));
    assert.deepEqual(seen, [head, 'acknowledged'], JSON.stringify(summary));
  }
  const log = { sessionEpoch: 1, nextFragment: 9, recentFragments: [], liveSet: 0 };
  const position = { segments: { segment: 1, bytes: 32 } };
  const states = [
    null,
    1,
    [],
    {},
    { log },
    { position },
    { log, position: {} },
    { log, position: { segments: { segment: 'x', bytes: 1 } } },
    { log: { ...log, sessionEpoch: 'x' }, position },
    { log: { ...log, nextFragment: -1 }, position },
    { log: { ...log, recentFragments: 7 }, position },
    { log: { ...log, recentFragments: [{ sequence: 1 }] }, position },
    { log: { ...log, head: { number: 'z' } }, position },
    { log: { ...log, keyring: 5 }, position },
    { log, position: { ...position, copies: { segment: 1 } } },
    { log: { ...log, liveSet: 1.5 }, position },
  ];
  for (const state of states) {
    const seen = await opened('/d/state', stateWith(state));
    assert.deepEqual(seen, [head, 'acknowledged'], JSON.stringify(state));
  }
  for (const [file, bytes] of [
    ['/d/index/catalogue', catalogueWith(undefined, '{"folder":')],
    ['/d/state', stateWith(undefined, 1_000_000, '{"log":')],
    ['/d/state', stateWith({ log, position }, 2 ** 48 - 1)],
    ['', undefined],
  ] as const) {
    assert.deepEqual(await opened(file, bytes), [head, 'acknowledged'], file);
  }
});
