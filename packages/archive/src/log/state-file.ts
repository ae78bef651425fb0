import { crc32 } from 'node:zlib';
import type { Disk, DiskFile } from './disk.ts';
import { jsonOrNone } from './stored-shapes.ts';

const slotBytes = 64 * 1024;
const headBytes = 16;
const mostWrites = 2 ** 47;

/**
 * A small value that survives crashes: two slots in one file, written by turns, each with a checksum.
 *
 * One sync a write, where replacing a file takes three. A torn or damaged slot leaves the one before.
 */
export class StateFile<T> {
  readonly #file: DiskFile;
  #counter: number;
  /** The newest value that holds; undefined where none does. */
  value: T | undefined;

  private constructor(file: DiskFile, counter: number, value: T | undefined) {
    this.#file = file;
    this.#counter = counter;
    this.value = value;
  }

  /** Opens or makes the file `name` in a directory. A slot whose value `isValue` denies does not hold. */
  static async open<T>(
    disk: Disk,
    directory: string,
    name: string,
    isValue: (value: unknown) => value is T,
  ): Promise<StateFile<T>> {
    const path = `${directory}/${name}`;
    const isThere = (await disk.stat(path)) !== undefined;
    const file = await disk.open(path, isThere ? 'write' : 'create');
    try {
      await disk.syncDirectory(directory);
      const slots = [await readSlot(file, 0), await readSlot(file, 1)].filter((slot) => slot !== undefined);
      const rising = slots.sort((a, b) => a.counter - b.counter);
      const values = rising.map(({ value }) => value).filter(isValue);
      return new StateFile(file, rising.at(-1)?.counter ?? 0, values.at(-1));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Returns once the value is on stable storage. After a failure the file must be opened anew. */
  async write(value: T): Promise<void> {
    const text = Buffer.from(JSON.stringify(value));
    if (text.length > slotBytes - headBytes) throw new RangeError('the state does not fit its slot');
    const counter = this.#counter + 1;
    const slot = Buffer.alloc(headBytes + text.length);
    slot.writeUInt32LE(text.length, 0);
    slot.writeUIntLE(counter, 8, 6);
    text.copy(slot, headBytes);
    slot.writeUInt32LE(crc32(slot.subarray(8)), 4);
    await this.#file.write(slot, (counter % 2) * slotBytes);
    await this.#file.sync();
    this.#counter = counter;
    this.value = value;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

async function readSlot(file: DiskFile, slot: number): Promise<{ counter: number; value: unknown } | undefined> {
  const bytes = Buffer.alloc(slotBytes);
  // A slot that cannot be read is one that does not hold.
  const got = await file.read(bytes, slot * slotBytes).catch(() => 0);
  const length = bytes.readUInt32LE(0);
  if (got < headBytes + length || length === 0 || length > slotBytes - headBytes) return undefined;
  if (crc32(bytes.subarray(8, headBytes + length)) !== bytes.readUInt32LE(4)) return undefined;
  const counter = bytes.readUIntLE(8, 6);
  // Nobody writes so often; behind it no slot could be newer.
  if (counter >= mostWrites) return undefined;
  return { counter, value: jsonOrNone(bytes.subarray(headBytes, headBytes + length).toString('utf8')) };
}
