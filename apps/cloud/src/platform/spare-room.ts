import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '@holdfast/base';
import type { Log } from './log.ts';
import { freeBytesOf } from './room.ts';

/** Three files of PostgreSQL's log: with less it cannot even recover. */
const SPARE_BYTES = 48 * 1024 * 1024;
/** Only where there is much more than that it is taken. */
const ENOUGH_BYTES = 4 * SPARE_BYTES;
/** With less than one file of its log and some, PostgreSQL ends again right after it has started. */
const NEEDED_BYTES = 24 * 1024 * 1024;
const EVERY_MS = 5_000;
const PART_BYTES = 1024 * 1024;

/**
 * Room on the disk of a database that is kept back, and given up when the database ended for want of it.
 *
 * PostgreSQL that cannot make the next file of its log ends, and ends again at each start, until there is room.
 */
export class SpareRoom {
  readonly #file: string;
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(folder: string, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#folder = folder;
    this.#file = path.join(folder, 'spare-room');
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes the room, and takes it again later where it was given up, until the signal aborts; resolves then. */
  async keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(EVERY_MS, signal).catch(() => undefined);
      if (signal.aborted || existsSync(this.#file)) continue;
      if ((await freeBytesOf(this.#folder)) < ENOUGH_BYTES) continue;
      await this.#take(signal).catch((err: unknown) => {
        if (!signal.aborted) this.#log.warn({ err }, 'no room could be kept back for the database');
        rmSync(`${this.#file}.new`, { force: true });
      });
    }
  }

  /** Gives the room up where the disk is full; called before the database is started. */
  async giveWhereNeeded(): Promise<void> {
    if (!existsSync(this.#file) || (await freeBytesOf(this.#folder)) >= NEEDED_BYTES) return;
    rmSync(this.#file, { force: true });
    this.#log.error({ bytes: SPARE_BYTES }, 'the disk is full: the database gets the room that was kept back for it');
  }

  /** Bytes that do not shrink: some file systems keep zeros nowhere. */
  async #take(signal: AbortSignal): Promise<void> {
    const part = randomFillSync(new Uint8Array(PART_BYTES));
    const file = await open(`${this.#file}.new`, 'w', 0o600);
    try {
      for (let done = 0; done < SPARE_BYTES; done += PART_BYTES) {
        signal.throwIfAborted();
        await file.write(part);
      }
    } finally {
      await file.close();
    }
    await rename(`${this.#file}.new`, this.#file);
  }
}
