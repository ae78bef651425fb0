import { sign } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { entropyToMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { deriveKey, sha256 } from '../format/sealing.ts';
import { derived, type Device, makeDevice } from './device.ts';
import { keyringBytes } from './write-keyring.ts';
import type { WrittenSlot } from './write-slots.ts';
import * as bytes from './write-structures.ts';

const { f, u32, u64 } = bytes;

/** One record as it was written. */
export type WrittenRecord = {
  readonly ordinal: number;
  readonly kind: number;
  readonly whole: Buffer;
  readonly rawHash: Buffer;
};

type Put = { readonly key: Buffer; readonly value: Buffer };

type CommitOptions = {
  readonly writer?: number;
  readonly number?: number;
  readonly previousHash?: Buffer;
  readonly at?: number;
  readonly checkpoint?: boolean;
  readonly fields?: Buffer;
};

/**
 * A small writer of archives for tests, made from the format document alone and sharing nothing with the engine.
 *
 * Keys, nonces and times follow from counters, so the same calls give the same bytes. Trees have tiny nodes.
 */
export class ArchiveWriter {
  readonly entropy = derived('entropy');
  readonly recoveryCode = entropyToMnemonic(derived('entropy'), wordlist);
  readonly devices: Device[] = [makeDevice(0, 1)];
  readonly epochs = new Map([[0, derived('epoch', 0)]]);
  /** Suites of epochs that are not of suite 1. */
  readonly suites = new Map<number, number>();
  readonly archiveId: Buffer;
  readonly records: WrittenRecord[] = [];
  readonly keyFiles = new Map<string, Buffer>();
  readonly commits: { readonly number: number; readonly hash: Buffer; readonly record: WrittenRecord }[] = [];
  readonly state = new Map<string, Put>();
  epoch = 0;
  checkpoint = 0;
  nodeEntries = 4;
  /** Slots that every keyring from now on has, before that for the recovery code. */
  slots: readonly WrittenSlot[] = [];
  keyring: { number: number; hash: Buffer } = { number: 0, hash: Buffer.alloc(32) };
  readonly #sequences = new Map<number, number>();
  #nonce = 0;

  constructor() {
    const open = Buffer.concat([
      f('1!', 1),
      f('2!', 2),
      f('3!', derived('salt')),
      f('4!', 1),
      f('5!', this.devices[0]!.publicKey),
    ]);
    this.archiveId = Buffer.alloc(16);
    const header = this.write({ kind: 1, open, raw: undefined, writer: 0 });
    this.archiveId = sha256(header.whole).subarray(0, 16);
    for (const copy of [1, 2, 3]) this.keyFiles.set(`header.${copy}`, header.whole);
    this.writeKeyring(0);
  }

  get keyFile(): string {
    const lines = [...this.epochs].map(([number, key]) => `epoch ${number} 1 ${key.toString('hex')}\n`);
    const text = `holdfast-key-v1\narchive ${this.archiveId.toString('hex')}\n${lines.join('')}`;
    return `${text}check ${sha256(Buffer.from(text)).toString('hex').slice(0, 16)}\n`;
  }

  addDevice(firstCommit: number, options: Pick<Device, 'introduced' | 'origin'> = {}): number {
    const number = this.devices.length;
    this.devices.push({ ...makeDevice(number, firstCommit), ...options });
    this.writeKeyring(number);
    return number;
  }

  addEpoch(): void {
    this.epoch += 1;
    this.epochs.set(this.epoch, derived('epoch', this.epoch));
    this.writeKeyring(this.devices.length - 1);
  }

  writeKeyring(writer: number, slotEntropy = this.entropy): void {
    const number = this.keyring.number + 1;
    const slotId = derived('slot', number).subarray(0, 16);
    const slotKey = deriveKey(slotEntropy, Buffer.concat([this.archiveId, slotId]), 'holdfast v1 recovery slot');
    const ringKey = derived('ring', number);
    const place = { archiveId: this.archiveId, number, ringKey };
    const slots = [...this.slots, { slotId, kind: 1, slotKey }];
    const { devices, epochs, suites } = this;
    const says = { previousHash: this.keyring.hash, slots, devices, epochs, suites };
    const { open, ring } = keyringBytes(place, says);
    const record = this.write({ kind: 2, open, raw: ring, writer, key: ringKey });
    this.keyring = { number, hash: sha256(record.whole) };
    for (const copy of [1, 2, 3]) this.keyFiles.set(`keyring-${number}.${copy}`, record.whole);
  }

  /** The recovery code of other entropy than the writer's. */
  codeOf(entropy: Buffer): string {
    return entropyToMnemonic(entropy, wordlist);
  }

  hashOf(record: WrittenRecord): Buffer {
    return sha256(record.whole);
  }

  /** Writes a record of any kind; the next sequence of its writer unless an ordinal is given. */
  write(record: {
    readonly kind: number;
    readonly open: Buffer;
    readonly raw: Buffer | undefined;
    readonly writer: number;
    readonly key?: Buffer;
    readonly ordinal?: number;
    readonly compress?: boolean;
  }): WrittenRecord {
    const { kind, open, raw, writer } = record;
    const ordinal = record.ordinal ?? this.#nextOrdinal(writer);
    const signed = [1, 2, 7, 8].includes(kind);
    const isData = kind === 3 || kind === 4;
    const compress = record.compress ?? true;
    const plain = raw === undefined ? undefined : bytes.plaintext(raw, { floor: isData ? 4096 : 512, compress });
    const head = this.#head({ kind, ordinal, open, signed, plain });
    const associated = Buffer.concat([this.archiveId, head, open]);
    const nonce = head.subarray(24, 48);
    const label = isData ? 'holdfast v1 data' : 'holdfast v1 metadata';
    const key = record.key ?? deriveKey(this.epochs.get(this.epoch)!, this.archiveId, label);
    const sealed = plain === undefined ? Buffer.alloc(0) : bytes.xaesSeal(key, nonce, { plain, associated });
    const message = Buffer.concat([Buffer.from('holdfast v1 record\0'), this.archiveId, head, open, sealed]);
    const signature = signed ? sign(null, message, this.devices[writer]!.key) : Buffer.alloc(0);
    const body = Buffer.concat([open, sealed, signature]);
    const whole = Buffer.concat([head, u32(crc32(body, crc32(head))), body]);
    const written = { ordinal, kind, whole, rawHash: sha256(raw ?? Buffer.alloc(0)) };
    this.records.push(written);
    return written;
  }

  #head(record: {
    readonly kind: number;
    readonly ordinal: number;
    readonly open: Buffer;
    readonly signed: boolean;
    readonly plain: Buffer | undefined;
  }): Buffer {
    const { plain } = record;
    const nonce = plain === undefined ? Buffer.alloc(24) : derived('nonce', (this.#nonce += 1)).subarray(0, 24);
    const epoch = bytes.u16(plain === undefined ? 0 : this.epoch);
    const ids = [epoch, bytes.ordinalBytes(record.ordinal), bytes.u16(record.signed ? 64 : 0)];
    const lengths = [u32(record.open.length), u32(plain === undefined ? 0 : plain.length + 16)];
    return Buffer.concat([Buffer.from('HFR1'), Buffer.of(1, record.kind), ...ids, ...lengths, nonce]);
  }

  #nextOrdinal(writer: number): number {
    const sequence = this.#sequences.get(writer) ?? 0;
    this.#sequences.set(writer, sequence + 1);
    return writer * 2 ** 32 + sequence;
  }

  block(content: Buffer, writer = 0): bytes.WrittenExtent {
    const record = this.write({ kind: 3, open: Buffer.alloc(0), raw: content, writer });
    return { ordinal: record.ordinal, offset: 0, length: content.length, sha256: sha256(content) };
  }

  /** One bundle for several contents; an extent for each. */
  bundle(contents: readonly Buffer[]): readonly bytes.WrittenExtent[] {
    const record = this.write({ kind: 4, open: Buffer.alloc(0), raw: Buffer.concat(contents), writer: 0 });
    let offset = 0;
    return contents.map((content) => {
      const extent = { ordinal: record.ordinal, offset, length: content.length, sha256: sha256(content) };
      offset += content.length;
      return extent;
    });
  }

  /** A tree of lists over extents, with few entries a list; gives level and reference of the top. */
  list(
    extents: readonly bytes.WrittenExtent[],
    perList: number,
  ): { readonly level: number; readonly reference: Buffer } {
    let level = 0;
    let entries = extents.map((extent) => ({ bytes: bytes.extentBytes(extent), covers: extent.length }));
    for (;;) {
      const lists: typeof entries = [];
      for (let at = 0; at < entries.length; at += perList) {
        const group = entries.slice(at, at + perList);
        const raw = Buffer.concat([Buffer.of(level), ...group.map((entry) => entry.bytes)]);
        const record = this.write({ kind: 5, open: Buffer.alloc(0), raw, writer: 0 });
        const covers = group.reduce((sum, entry) => sum + entry.covers, 0);
        const reference = bytes.referenceBytes({ ordinal: record.ordinal, sha256: record.rawHash });
        lists.push({ bytes: Buffer.concat([reference, u64(covers)]), covers });
      }
      if (lists.length === 1) return { level, reference: lists[0]!.bytes.subarray(0, 38) };
      entries = lists;
      level += 1;
    }
  }

  /** Writes the state as a tree of small nodes; gives the reference of its root. */
  tree(): Buffer {
    let level = 0;
    let entries = [...this.state.values()].sort((a, b) => Buffer.compare(a.key, b.key));
    for (;;) {
      const nodes: Put[] = [];
      for (let at = 0; at < Math.max(1, entries.length); at += this.nodeEntries) {
        const group = entries.slice(at, at + this.nodeEntries);
        const raw = Buffer.concat([Buffer.of(level), bytes.entriesBytes(group)]);
        const record = this.write({ kind: 6, open: Buffer.alloc(0), raw, writer: 0 });
        const value = bytes.referenceBytes({ ordinal: record.ordinal, sha256: record.rawHash });
        nodes.push({ key: group[0]?.key ?? Buffer.alloc(0), value });
      }
      if (nodes.length === 1) return nodes[0]!.value;
      entries = nodes;
      level += 1;
    }
  }

  /** The number the next commit will have. */
  get next(): number {
    return (this.commits.at(-1)?.number ?? 0) + 1;
  }

  commit(puts: readonly Put[], options: CommitOptions = {}): WrittenRecord {
    const number = options.number ?? this.next;
    const before = this.commits.at(-1);
    for (const put of puts) this.state.set(put.key.toString('latin1'), put);
    const root = options.checkpoint === true ? this.tree() : undefined;
    if (root !== undefined) this.checkpoint = number;
    const open = Buffer.concat([
      f('1!', number),
      f('2!', options.previousHash ?? before?.hash ?? Buffer.alloc(32)),
      f('3!', this.checkpoint),
      ...(options.fields === undefined ? [] : [options.fields]),
    ]);
    const at = bytes.instant(options.at ?? 1_700_000_000 + number * 60);
    const raw = this.#commitRaw(puts, at, root);
    const record = this.write({ kind: 7, open, raw, writer: options.writer ?? this.devices.length - 1 });
    const hash = sha256(record.whole);
    this.commits.push({ number, hash, record });
    this.state.set(`commit ${number}`, {
      key: Buffer.concat([Buffer.of(2), bytes.u64be(number)]),
      value: Buffer.concat([at, hash]),
    });
    return record;
  }

  #commitRaw(puts: readonly Put[], at: Buffer, root: Buffer | undefined): Buffer {
    const sorted = [...puts].sort((a, b) => Buffer.compare(a.key, b.key));
    return Buffer.concat([
      f('1!', at),
      f('3!', Buffer.concat([u32(this.keyring.number), this.keyring.hash])),
      ...(root === undefined ? [] : [f('5!', root)]),
      f('6!', bytes.entriesBytes(sorted)),
    ]);
  }

  /** A live set in one part over writer 0, needing everything but what is named. */
  live(setNumber: number, notNeeded: readonly number[], form: 1 | 2): void {
    const last = (this.#sequences.get(0) ?? 1) - 1;
    const flags = Array.from({ length: last + 1 }, (_, sequence) => !notNeeded.includes(sequence));
    const turns: number[] = [];
    let needed = false;
    for (const flag of flags) {
      if (flag !== needed || turns.length === 0) {
        if (turns.length === 0 && flag) turns.push(0);
        turns.push(0);
        needed = flag;
      }
      turns[turns.length - 1]! += 1;
    }
    const bitmap = Buffer.alloc(Math.ceil(flags.length / 8));
    for (const [index, flag] of flags.entries()) if (flag) bitmap[index >> 3]! |= 1 << (index & 7);
    const value = form === 1 ? Buffer.concat(turns.map(bytes.varint)) : bitmap;
    const range = Buffer.concat([f('1!', 0), f('2!', 0), f('3!', last), f('4!', form), f('5!', value)]);
    const head = this.commits[this.commits.length - 1]!;
    const open = Buffer.concat([
      f('1!', setNumber),
      f('2!', 1),
      f('3!', 1),
      f('4!', Buffer.concat([u64(head.number), head.hash])),
      f('5!', range),
    ]);
    this.write({ kind: 8, open, raw: undefined, writer: this.devices.length - 1 });
  }

  /** Writes the folder: `perSegment` records a segment, the last one open unless `sealLast`. */
  save(
    folder: string,
    options: {
      readonly perSegment?: number;
      readonly sealLast?: boolean;
      readonly records?: readonly WrittenRecord[];
    } = {},
  ): void {
    const records = options.records ?? this.records;
    const perSegment = options.perSegment ?? 12;
    for (const name of ['keys', 'segments', 'copies']) mkdirSync(join(folder, name), { recursive: true });
    for (const [name, whole] of this.keyFiles) writeFileSync(join(folder, 'keys', name), whole);
    for (let at = 0, number = 1; at < records.length; at += perSegment, number += 1) {
      const group = records.slice(at, at + perSegment);
      const sealed = options.sealLast === true || at + perSegment < records.length;
      writeFileSync(
        join(folder, 'segments', `${String(number).padStart(10, '0')}.seg`),
        this.segment(number, group, sealed),
      );
    }
  }

  segment(number: number, records: readonly WrittenRecord[], sealed: boolean): Buffer {
    const head = Buffer.concat([Buffer.from('HFSEG1\0\0'), this.archiveId, u64(number)]);
    const open = Buffer.concat([head, ...records.map((record) => record.whole)]);
    return sealed ? sealSegment(open, records) : open;
  }
}

function sealSegment(open: Buffer, records: readonly WrittenRecord[]): Buffer {
  const body = Buffer.concat([open, Buffer.alloc((4096 - (open.length % 4096)) % 4096)]);
  const parityLength = 4096 * Math.ceil(body.length / 4096 / 32);
  const parity = Buffer.alloc(parityLength);
  for (const [index, byte] of body.entries()) parity[index % parityLength]! ^= byte;
  let offset = 32;
  const table = records.map((record) => {
    const entry = Buffer.concat([
      bytes.ordinalBytes(record.ordinal),
      Buffer.of(record.kind, 0),
      u32(offset),
      u32(record.whole.length),
      record.whole.subarray(48, 52),
    ]);
    offset += record.whole.length;
    return entry;
  });
  const sectors = Buffer.concat([body, parity]);
  const sums = Array.from({ length: sectors.length / 4096 }, (_, index) =>
    u32(crc32(sectors.subarray(index * 4096, index * 4096 + 4096))),
  );
  const footer = Buffer.concat([
    u64(body.length),
    u32(parityLength),
    u32(records.length),
    sha256(body),
    ...table,
    ...sums,
  ]);
  const trailer = Buffer.concat([
    u64(sectors.length),
    u32(footer.length),
    u32(crc32(footer)),
    Buffer.alloc(8),
    Buffer.from('HFSEGEND'),
  ]);
  return Buffer.concat([sectors, footer, trailer]);
}
