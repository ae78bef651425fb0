import { createHash } from 'node:crypto';
import path from 'node:path';
import { type ArchiveFolder, nodeDisk, parseKeyring, RecordKind, splitRecord, type Disk } from '@holdfast/archive/log';
import { parseUuid, type Clock } from '@holdfast/base';
import type { Log } from '../../platform/log.ts';
import type { Database } from '../../platform/postgres.ts';
import { OpenArchive } from './open-archive.ts';
import * as store from './store.ts';

/** What keeping archives open needs. */
export type OpenArchivesOptions = {
  readonly database: Database;
  /** Folder of all archives: one folder per tenant, below it one per archive. */
  readonly blobsDir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** The machine's own disk when absent. */
  readonly disk?: Disk;
};

type Held = { readonly opening: Promise<OpenArchive | undefined>; users: number; usedAtMs: number };

/** Archives open at once, when nobody uses more than that many. */
const MAX_IDLE = 256;
const IDLE_MS = 300_000;

/** The archives this process has open: each once, the idle ones closed after a while, broken ones opened anew. */
export class OpenArchives {
  readonly #options: OpenArchivesOptions;
  readonly #held = new Map<string, Held>();
  /** An archive is opened only after its folder was closed. */
  readonly #closing = new Map<string, Promise<void>>();

  constructor(options: OpenArchivesOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` with an archive open; undefined when there is none of that id.
   *
   * It stays open as long as `work` runs, and for a while after.
   */
  async use<T>(
    tenantId: string,
    archiveId: string,
    work: (archive: OpenArchive) => Promise<T>,
  ): Promise<T | undefined> {
    const lease = await this.lease(tenantId, archiveId);
    if (!lease) return undefined;
    try {
      return await work(lease.archive);
    } finally {
      lease.release();
    }
  }

  /** Holds an archive open until `release`, which may be called more than once. */
  async lease(
    tenantId: string,
    archiveId: string,
  ): Promise<{ readonly archive: OpenArchive; readonly release: () => void } | undefined> {
    const name = `${tenantId}/${archiveId}`;
    const held = this.#held.get(name) ?? this.#start(name, tenantId, archiveId);
    held.users++;
    let archive: OpenArchive | undefined;
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      held.users--;
      held.usedAtMs = this.#options.clock.monotonic();
      this.#settle(name, held, archive);
    };
    try {
      archive = await held.opening;
      if (archive) return { archive, release };
      release();
      return undefined;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Has an archive opened anew, where it is open as another device's than the one whose it is now. */
  async renew(tenantId: string, archiveId: string, deviceId: string): Promise<void> {
    const name = `${tenantId}/${archiveId}`;
    const held = this.#held.get(name);
    const archive = await held?.opening.catch(() => undefined);
    if (held && archive && archive.row.device_id !== deviceId && this.#held.get(name) === held) this.#drop(name, held);
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    for (const [name, held] of this.#held) this.#drop(name, held);
    await Promise.all(this.#closing.values());
  }

  /** Closes those that nobody used for a while; called now and then. */
  closeIdle(): void {
    const before = this.#options.clock.monotonic() - IDLE_MS;
    for (const [name, held] of this.#held) if (held.users === 0 && held.usedAtMs < before) this.#drop(name, held);
  }

  #start(name: string, tenantId: string, archiveId: string): Held {
    const opening = this.#open(name, tenantId, archiveId);
    const held: Held = { opening, users: 0, usedAtMs: this.#options.clock.monotonic() };
    this.#held.set(name, held);
    const forget = () => {
      if (this.#held.get(name) === held) this.#held.delete(name);
    };
    opening.then((archive) => archive ?? forget(), forget);
    return held;
  }

  async #open(name: string, tenantId: string, archiveId: string): Promise<OpenArchive | undefined> {
    const { database, blobsDir, disk = nodeDisk, clock, log } = this.#options;
    await this.#closing.get(name);
    const row = await database.withTenant(tenantId, (tx) => store.findArchive(tx, tenantId, archiveId));
    const id = parseUuid(archiveId);
    if (!row || !id) return undefined;
    const dir = path.join(blobsDir, tenantId, id.toHex());
    return OpenArchive.open({ row, dir, archiveId: id, database, disk, clock, log });
  }

  /** Lets go of one that broke, and of the longest idle ones when there are too many. */
  #settle(name: string, held: Held, archive: OpenArchive | undefined): void {
    if (archive?.isBroken && this.#held.get(name) === held) this.#drop(name, held);
    if (this.#held.size <= MAX_IDLE) return;
    const idle = [...this.#held].filter(([, { users }]) => users === 0);
    const tooMany = idle.toSorted((a, b) => a[1].usedAtMs - b[1].usedAtMs).slice(0, this.#held.size - MAX_IDLE);
    for (const [each, one] of tooMany) this.#drop(each, one);
  }

  #drop(name: string, held: Held): void {
    this.#held.delete(name);
    const closing = held.opening
      .then((archive) => archive?.close())
      .catch((err: unknown) => this.#options.log.warn({ err }, 'an archive did not close in order'))
      .finally(() => this.#closing.get(name) === closing && this.#closing.delete(name));
    this.#closing.set(name, closing);
  }
}

/** Keyrings looked up at once. */
const KEYRINGS_AT_ONCE = 1_024;

/** The keyring record of an archive with this SHA-256 (hex), or the newest one; undefined where there is none, or it is lost. */
export async function findKeyring(
  archives: OpenArchives,
  { tenantId, archiveId }: { readonly tenantId: string; readonly archiveId: string },
  sha256?: string,
): Promise<Uint8Array | undefined> {
  return archives.use(tenantId, archiveId, ({ folder }) => findKeyringIn(folder, sha256));
}

/** The same of a folder that is open. */
export async function findKeyringIn(folder: ArchiveFolder, sha256?: string): Promise<Uint8Array | undefined> {
  const ordinals = new Set<number>();
  for await (const { ordinal } of folder.list(RecordKind.keyring)) ordinals.add(ordinal);
  let newest: { readonly number: number; readonly record: Uint8Array } | undefined;
  // The newest is among the last.
  const newestFirst = [...ordinals].toSorted((a, b) => b - a);
  for (let at = 0; at < newestFirst.length; at += KEYRINGS_AT_ONCE)
    for await (const outcome of folder.read(newestFirst.slice(at, at + KEYRINGS_AT_ONCE))) {
      if (outcome.status !== 'found') continue;
      const record = Uint8Array.from(outcome.bytes);
      if (createHash('sha256').update(record).digest('hex') === sha256) return record;
      const { number } = parseKeyring(splitRecord(record).open);
      if (number > (newest?.number ?? 0)) newest = { number, record };
    }
  return sha256 === undefined ? newest?.record : undefined;
}
