/** Backups in tests: a destination in memory, and reading back what it holds. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import {
  type ArchiveState,
  type BackupReport,
  type BackupRequest,
  contentOf,
  createArchive,
  deriveKeyRing,
  type Destination,
  LocalIndex,
  loaderOf,
  openRecordSync,
  parseKeyring,
  parseRecordHeader,
  readState,
  recordLengthOf,
  type Row,
  runBackup,
  splitRecord,
  streamExtents,
} from '@holdfast/archive';
import { systemClock } from '@holdfast/base';
import { createLinuxSource } from './linux-source.ts';
import { startBackupWorker } from './start-worker.ts';

/** Records in memory; counts what came, and fails when told to. */
export class MemoryDestination implements Destination {
  readonly name = 'memory';
  readonly records = new Map<number, Uint8Array>();
  fragments = 0;
  bytes = 0;
  /** Fails every call from this fragment on. */
  failFrom = Number.POSITIVE_INFINITY;

  async append(fragment: Uint8Array): Promise<void> {
    if (this.fragments++ >= this.failFrom) throw new Error('the destination was told to fail');
    for (let at = 0; at < fragment.length;) {
      const header = parseRecordHeader(fragment, at);
      const length = recordLengthOf(header);
      if (this.records.has(header.ordinal)) throw new Error(`ordinal ${header.ordinal} came twice`);
      this.records.set(header.ordinal, fragment.slice(at, at + length));
      at += length;
    }
    this.bytes += fragment.length;
  }

  async *read(ordinals: readonly number[]): AsyncGenerator<Uint8Array> {
    for (const ordinal of ordinals) {
      const record = this.records.get(ordinal);
      if (record) yield record;
    }
  }
}

/** A device that is removed when the test ends, and an empty folder to back up. */
export function newDevice(t: TestContext): { readonly device: TestDevice; readonly tree: string } {
  const device = new TestDevice();
  t.after(() => device.remove());
  const tree = path.join(device.folder, 'tree');
  mkdirSync(tree);
  return { device, tree };
}

/** A device of its own with one backup set, in a folder below the system's temporary one. */
export class TestDevice {
  /** Seconds that the device's clock is ahead of the files' times: nothing is too new to be trusted. */
  aheadSeconds = 0;
  readonly folder = mkdtempSync(path.join(tmpdir(), 'holdfast engine '));
  readonly #created = createArchive(systemClock, () => []);
  keys = this.#created.keys;
  /** Of the first writer. */
  readonly publicKey = parseKeyring(splitRecord(this.#created.keyring).open).writers[0]!.publicKey;
  readonly destination = new MemoryDestination();
  index = LocalIndex.open(path.join(mkdtempSync(path.join(this.folder, 'state ')), 'index.db')).index;

  constructor() {
    // The header and the first keyring have the first two ordinals.
    this.index.lease('ordinals', 2);
  }

  backup(include: string | readonly string[], more: Partial<BackupRequest> = {}): Promise<BackupReport> {
    const includes = typeof include === 'string' ? [include] : include;
    return runBackup({
      index: this.index,
      keys: this.keys,
      destinations: [this.destination],
      source: createLinuxSource(),
      sets: [{ number: 1, name: 'everything', includes, excludes: [] }],
      never: [],
      startWorker: startBackupWorker,
      workers: 2,
      load: this.load,
      clock: { ...systemClock, now: () => Date.now() + this.aheadSeconds * 1000 },
      ...more,
    });
  }

  get openKeys() {
    const { archiveId, ring } = this.keys;
    return { archiveId, ring: deriveKeyRing(archiveId, ring.epochs) };
  }

  get load() {
    return loaderOf((ordinals) => this.destination.read(ordinals), this.openKeys);
  }

  state(): ArchiveState {
    return readState(this.index, this.openKeys, this.load);
  }

  /** Every path below the volumes at a commit, with its row; directories by their own row. */
  async listing(commit: number = this.index.head().number): Promise<Map<string, Row>> {
    const state = this.state();
    const rows = new Map<string, Row>();
    const walk = async (names: readonly Uint8Array[], at: string): Promise<void> => {
      const found = await state.lookup(names, commit);
      if (!found?.directory) return;
      if (found.own && at !== '') rows.set(at, found.own.row);
      for await (const { name, row } of state.list(found.directory, commit)) {
        const child = `${at}/${Buffer.from(name).toString('latin1')}`;
        if (row.type === 'directory') await walk([...names, name], names.length === 0 ? '' : child);
        else rows.set(child, row);
      }
    };
    await walk([], '');
    return rows;
  }

  /** The bytes of a file, every piece opened and checked. */
  async contentOf(row: Row): Promise<Uint8Array> {
    const content = contentOf(row);
    if (!content) return new Uint8Array();
    const parts: Uint8Array[] = [];
    for await (const extent of streamExtents(content, this.load)) {
      if (extent.ordinal === 2 ** 48 - 1) {
        parts.push(new Uint8Array(extent.length));
        continue;
      }
      const { raw } = openRecordSync(this.destination.records.get(extent.ordinal)!, this.openKeys);
      const piece = raw.subarray(extent.offset, extent.offset + extent.length);
      if (Buffer.compare(createHash('sha256').update(piece).digest(), extent.sha256) !== 0) {
        throw new Error('a piece does not have its hash');
      }
      parts.push(piece);
    }
    return Buffer.concat(parts);
  }

  remove(): void {
    this.index.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
