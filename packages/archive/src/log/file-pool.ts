import type { Disk, DiskFile } from './disk.ts';

type Held = { readonly file: Promise<DiskFile>; users: number };

/** Files open for reading: each once, at most `limit` of them idle. */
export class FilePool {
  readonly #disk: Disk;
  readonly #limit: number;
  /** By the time of last use, the oldest first. */
  readonly #held = new Map<string, Held>();

  constructor(disk: Disk, limit: number) {
    this.#disk = disk;
    this.#limit = limit;
  }

  /** Runs `work` with the file open; it stays open for the next one. */
  async use<T>(path: string, work: (file: DiskFile) => Promise<T>): Promise<T> {
    const held = this.#held.get(path) ?? { file: this.#disk.open(path, 'read'), users: 0 };
    this.#held.delete(path);
    this.#held.set(path, held);
    held.users++;
    try {
      return await work(await held.file);
    } catch (error) {
      // A file that was replaced or went away must be opened anew next time.
      if (this.#held.get(path) === held) this.#held.delete(path);
      throw error;
    } finally {
      held.users--;
      await this.#settle(path, held);
    }
  }

  /** Lets go of a file that was replaced: uses under way go on with the old one. */
  async drop(path: string): Promise<void> {
    const held = this.#held.get(path);
    this.#held.delete(path);
    if (held && held.users === 0) await closeQuietly(held);
  }

  async close(): Promise<void> {
    for (const path of Array.from(this.#held.keys())) await this.drop(path);
  }

  async #settle(path: string, held: Held): Promise<void> {
    if (held.users === 0 && this.#held.get(path) !== held) return closeQuietly(held);
    for (const [oldest, { users }] of this.#held) {
      if (this.#held.size <= this.#limit) return;
      if (users === 0) await this.drop(oldest);
    }
  }
}

async function closeQuietly(held: Held): Promise<void> {
  // Nothing was written through it, so there is nothing a failed close could lose.
  await held.file.then((file) => file.close()).catch(() => undefined);
}
