import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ArchiveMaker, escrowSlot, type MadeCommit } from '@holdfast/archive/testing';
import { systemRandom } from '@holdfast/base';
import { sealingKeysOf } from '@holdfast/trust';

const time = { seconds: 1_780_000_000, nanoseconds: 0 };

/** The records of an archive as its device makes them: sealed and signed for real. */
export class ExampleLog {
  readonly maker: ArchiveMaker;
  readonly #escrowKeys: string;
  readonly #seed: string;
  readonly #entropy: Uint8Array;
  /** Commits and writers, for doing the same again. */
  readonly #done: (Parameters<ExampleLog['newWriter']> | 'commit')[] = [];

  /** `escrowKeys` is the document of the tenant that its device enrolled with. */
  constructor(escrowKeys: string, seed: string = systemRandom(8).toHex(), entropy: Uint8Array = systemRandom(32)) {
    this.#escrowKeys = escrowKeys;
    this.#seed = seed;
    this.#entropy = entropy;
    this.maker = new ArchiveMaker(seed, entropy);
    this.maker.addEpoch(time);
    this.maker.slots = [...this.maker.slots, escrowSlot(this.maker, sealingKeysOf(escrowKeys))];
    this.maker.keyring(time);
  }

  get archiveId(): Uint8Array {
    return this.maker.archiveId;
  }

  /** Header and keyrings so far. */
  get keyRecords(): readonly Uint8Array[] {
    return this.maker.records.filter(({ kind }) => kind === 'header' || kind === 'keyring').map(({ bytes }) => bytes);
  }

  /**
   * The same machine once more, as it was the given number of commits and writers ago; what it makes from here on differs.
   *
   * It must not have made blocks.
   */
  async clone(ago = 0): Promise<ExampleLog> {
    const twin = new ExampleLog(this.#escrowKeys, this.#seed, this.#entropy);
    for (const step of this.#done.slice(0, this.#done.length - ago)) {
      if (step === 'commit') await twin.commit();
      else twin.newWriter(...step);
    }
    twin.maker.random(32);
    return twin;
  }

  /** A new block of random bytes; its ordinal and the whole record. */
  block(rawBytes = 20_000): { readonly ordinal: number; readonly bytes: Uint8Array } {
    this.maker.store('block', systemRandom(Math.min(rawBytes, 65_536)));
    return this.#newest();
  }

  /** The next commit, and its name. */
  async commit(): Promise<Commit> {
    const made = await this.maker.commit({ time });
    this.#done.push('commit');
    return { ...this.#newest(), name: nameOf(made) };
  }

  /** The keyring that brings in the next writer. */
  newWriter(firstCommit: number, isIntroduced = true): Uint8Array {
    this.#done.push([firstCommit, isIntroduced]);
    this.maker.addWriter('state_lost', firstCommit, isIntroduced);
    return this.maker.keyring(time).bytes;
  }

  #newest() {
    const newest = this.maker.records.at(-1);
    if (!newest) throw new Error('no record was made');
    return { ordinal: newest.ordinal, bytes: newest.bytes };
  }
}

/** A commit record with its name. */
export type Commit = {
  readonly ordinal: number;
  readonly bytes: Uint8Array;
  readonly name: { readonly number: number; readonly sha256: string };
};

function nameOf({ number, sha256 }: MadeCommit) {
  return { number, sha256: Buffer.from(sha256).toString('hex') };
}

/** Records back to back. */
export function joined(...records: readonly { readonly bytes: Uint8Array }[]): Uint8Array {
  return Buffer.concat(records.map(({ bytes }) => bytes));
}

/** The record with the checksum that belongs to its bytes. */
export function withCrc(record: Uint8Array): Uint8Array {
  const fixed = Buffer.from(record);
  fixed.writeUInt32LE(crc32(fixed.subarray(52), crc32(fixed.subarray(0, 48))), 48);
  return fixed;
}

/** SHA-256, hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
