import { RecordKind } from '../format/record.ts';
import type { RecordSource } from '../tree/record-source.ts';
import type { MadeRecord } from './archive-maker.ts';

/** Records in memory; of two with one ordinal the first. */
export function memorySource(records: readonly MadeRecord[]): RecordSource {
  return {
    async *ordinalsOf(kind) {
      for (const record of records) if (RecordKind[record.kind] === kind) yield await Promise.resolve(record.ordinal);
    },
    read: (ordinal) => {
      const found = records.find((record) => record.ordinal === ordinal);
      return Promise.resolve(found && new Uint8Array(found.bytes));
    },
  };
}
