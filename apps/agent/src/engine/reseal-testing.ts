/** Devices whose keys change, whose past is sealed again, and whose destination then lets go what it may. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  type BackupReport,
  encodeRow,
  isHole,
  isLetGo,
  listLoader,
  openRecordSync,
  type Ordinal,
  parseLive,
  parseRecordHeader,
  RecordKind,
  type Row,
  sealKeyring,
  sequenceOf,
  splitRecord,
  streamExtents,
  writerOf,
} from '@holdfast/archive';
import { systemClock } from '@holdfast/base';
import type { TestDevice } from './testing.ts';

/** Begins an epoch, as a change of keys does. Returns the first ordinal that is sealed with it: those below are old. */
export function beginEpoch(device: TestDevice): Ordinal {
  const ordinal = device.index.lease('ordinals', 1);
  const writers = [{ number: 0, publicKey: device.publicKey, firstCommit: 1, origin: 'first' as const }];
  const { keys } = sealKeyring(device.keys, {
    ordinal,
    writers,
    wrapSlots: () => [],
    beginsEpoch: true,
    clock: systemClock,
  });
  device.keys = keys;
  return ordinal;
}

const nothing = { onlySets: [], directories: [], workers: 0 };

/** Seals stretches of the past again until there is none left; `mostBytes` each. */
export async function resealAll(
  device: TestDevice,
  below: Ordinal,
  { mostBytes = 1_000_000, between = () => Promise.resolve() } = {},
): Promise<NonNullable<BackupReport['resealed']>[]> {
  const stretches: NonNullable<BackupReport['resealed']>[] = [];
  for (let from: Uint8Array | undefined, isFirst = true; isFirst || from; isFirst = false) {
    const { resealed } = await device.backup([], {
      ...nothing,
      reseal: {
        below,
        ...(from && { from }),
        mostBytes,
        state: () => device.state(),
        pace: () => Promise.resolve(),
        onProgress: () => undefined,
      },
    });
    assert.ok(resealed);
    stretches.push(resealed);
    from = resealed.next;
    await between();
  }
  return stretches;
}

/** Writes the whole checkpoint and the live set. */
export async function close(device: TestDevice, below: Ordinal) {
  const covered = [{ writer: 0, first: 2, last: sequenceOf(below) - 1 }];
  const request = { below, live: { covered, after: 0 }, state: () => device.state() };
  const { closedPast } = await device.backup([], { ...nothing, closePast: request });
  assert.ok(closedPast);
  return closedPast;
}

/** Does what a destination may do after its hold: what the newest live set covers and does not name goes. */
export function letGo(device: TestDevice): number {
  const { records } = device.destination;
  const sets = [...records.values()]
    .filter((record) => parseRecordHeader(record).kind === RecordKind.live)
    .map((record) => parseLive(splitRecord(record).open));
  const newest = Math.max(...sets.map(({ number }) => number));
  const parts = sets.filter(({ number }) => number === newest);
  assert.equal(parts.length, parts[0]!.parts);
  let count = 0;
  for (const [ordinal, record] of records) {
    const { kind } = parseRecordHeader(record);
    if (kind === RecordKind.header || kind === RecordKind.keyring || !isLetGo(parts, ordinal)) continue;
    records.delete(ordinal);
    count++;
  }
  return count;
}

/** Epochs of the sealed records that the destination has. */
export function epochsThere(device: TestDevice): ReadonlySet<number> {
  const sealed = [...device.destination.records.values()].map((record) => parseRecordHeader(record));
  return new Set(sealed.filter(({ sealedBytes }) => sealedBytes > 0).map(({ epoch }) => epoch));
}

/** What every commit shows: each path with its row, and the SHA-256 of every byte of its streams as they are read back. */
export async function shownAt(device: TestDevice, commit: number): Promise<ReadonlyMap<string, string>> {
  const shown = new Map<string, string>();
  for (const [path, row] of await device.listing(commit)) {
    const content = await contentOf(device, row);
    shown.set(path, `${Buffer.from(encodeRow(row)).toString('hex')} ${content}`);
  }
  return shown;
}

async function contentOf(device: TestDevice, row: Row): Promise<string> {
  const state = device.state();
  const hasher = createHash('sha256');
  for (const stream of row.streams ?? []) {
    for await (const named of streamExtents(stream, listLoader(state, device.load))) {
      if (isHole(named)) {
        hasher.update(`hole ${named.length}`);
        continue;
      }
      const { ordinal, offset, length, sha256 } = await state.resolveExtent(named);
      assert.equal(writerOf(ordinal), 0);
      const record = device.destination.records.get(ordinal);
      assert.ok(record, `record ${ordinal} is there`);
      const piece = openRecordSync(record, device.openKeys).raw.subarray(offset, offset + length);
      assert.deepEqual(createHash('sha256').update(piece).digest(), Buffer.from(sha256));
      hasher.update(piece);
    }
  }
  return hasher.digest('hex');
}

/** Where a move leads is never itself moved: readers follow one. */
export async function expectNoChain(device: TestDevice): Promise<void> {
  const state = device.state();
  for await (const { value } of state.range(Uint8Array.of(3), Uint8Array.of(4))) {
    // Ordinal and offset, as the key of a move has them: big-endian, the writer first.
    const key = Uint8Array.from([3, ...value.subarray(0, 6).toReversed(), ...value.subarray(6, 10).toReversed()]);
    assert.equal(await state.get(key), undefined, 'a move leads to what is moved itself');
  }
}

/** Takes up or drops the commit whose answer was lost, as opening a destination anew does. */
export function settle({ index, destination }: TestDevice): void {
  const kept = index.unacknowledgedCommit();
  if (!kept) return;
  if (destination.records.has(parseRecordHeader(kept.record).ordinal)) index.acknowledge(kept.number);
  else index.dropUnacknowledged();
}
