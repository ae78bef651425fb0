import { equalBytes, joinBytes } from '../format/cursor.ts';
import type { Ordinal } from '../format/ordinal.ts';
import { parseRecordHeader, recordLengthOf, verifyRecordCrc } from '../format/record.ts';
import type { RecordSource } from '../tree/record-source.ts';
import { archiveErrors, corrupt } from '../errors.ts';

/** Whole records in memory, by ordinal: what a destination keeps, without a disk or a wire. */
export type MemoryDestination = RecordSource & {
  /** Takes whole records back to back. @throws archive.corrupt for anything else, and for an ordinal that has other bytes already. */
  append(records: Uint8Array): void;
  /** Loses a record. */
  lose(ordinal: Ordinal): void;
  /** Changes one byte of a record. */
  spoil(ordinal: Ordinal, at: number): void;
  /** In the order in which they came. */
  readonly ordinals: readonly Ordinal[];
  readonly storedBytes: number;
};

/** An empty destination. */
export function createMemoryDestination(): MemoryDestination {
  const records = new Map<Ordinal, Uint8Array<ArrayBuffer>>();
  const kept = (ordinal: Ordinal) => {
    const record = records.get(ordinal);
    if (record === undefined) throw archiveErrors.record_missing({ ordinal });
    return record;
  };
  return {
    append(bytes) {
      for (let at = 0; at < bytes.length;) {
        const header = parseRecordHeader(bytes, at);
        if (!verifyRecordCrc(bytes, at, header)) throw corrupt('record: its CRC does not hold', at);
        const record = joinBytes(bytes.subarray(at, at + recordLengthOf(header)));
        const known = records.get(header.ordinal);
        if (known !== undefined && !equalBytes(known, record))
          throw corrupt('record: its ordinal has other bytes already');
        records.set(header.ordinal, record);
        at += record.length;
      }
    },
    async *ordinalsOf(kind) {
      for (const [ordinal, record] of records) {
        await Promise.resolve();
        if (record[5] === kind) yield ordinal;
      }
    },
    read: (ordinal) => Promise.resolve(records.get(ordinal)?.slice()),
    lose(ordinal) {
      kept(ordinal);
      records.delete(ordinal);
    },
    spoil(ordinal, at) {
      kept(ordinal)[at]! ^= 0x40;
    },
    get ordinals() {
      return [...records.keys()];
    },
    get storedBytes() {
      return [...records.values()].reduce((sum, record) => sum + record.length, 0);
    },
  };
}
